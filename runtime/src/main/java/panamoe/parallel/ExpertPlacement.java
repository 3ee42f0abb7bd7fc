package panamoe.parallel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The experts that each rank of an expert group holds: an even share of the layer's experts, and at
 * inference copies of others. An expert's rows are split evenly over its copies.
 *
 * @param total E, experts of the layer
 * @param held for each rank of the group the indices of its experts, in the order of their weights
 */
public record ExpertPlacement(int total, List<List<Integer>> held) {
  /** One copy of every expert: experts are split in order, as evenly as possible. */
  public static ExpertPlacement even(int total, int ranks) {
    return new ExpertPlacement(
        total,
        IntStream.range(0, ranks)
            .mapToObj(
                rank ->
                    IntStream.range(
                            Topology.firstExpert(total, ranks, rank),
                            Topology.firstExpert(total, ranks, rank + 1))
                        .boxed()
                        .toList())
            .toList());
  }

  /**
   * Adds copies of the experts with most rows: each time of the expert with most rows per copy, on
   * the rank with fewest rows that has room and no copy of it.
   *
   * @param rows of each expert, as measured
   * @param room copies that each rank may get
   */
  public ExpertPlacement withCopies(long[] rows, int room) {
    ExpertPlacement placement = this;
    while (true) {
      ExpertPlacement now = placement;
      int[] copies = now.copies();
      Optional<ExpertPlacement> next =
          IntStream.range(0, total)
              .boxed()
              .sorted(Comparator.comparingDouble(e -> -(double) rows[e] / copies[e]))
              .filter(expert -> rows[expert] > 0)
              .flatMap(expert -> now.withCopy(expert, rows, held, room).stream())
              .findFirst();
      if (next.isEmpty()) {
        return placement;
      }
      placement = next.get();
    }
  }

  private Optional<ExpertPlacement> withCopy(
      int expert, long[] rows, List<List<Integer>> own, int room) {
    return IntStream.range(0, held.size())
        .filter(rank -> held.get(rank).size() < own.get(rank).size() + room)
        .filter(rank -> !held.get(rank).contains(expert))
        .boxed()
        .min(Comparator.comparingDouble(rank -> rowsOf(rank, rows)))
        .map(
            rank -> {
              List<List<Integer>> more = new ArrayList<>(held);
              List<Integer> here = new ArrayList<>(held.get(rank));
              here.add(expert);
              more.set(rank, List.copyOf(here));
              return new ExpertPlacement(total, List.copyOf(more));
            });
  }

  /** The rows that a rank computes, for {@code rows} of each expert. */
  public double rowsOf(int rank, long[] rows) {
    int[] copies = copies();
    return held.get(rank).stream().mapToDouble(e -> (double) rows[e] / copies[e]).sum();
  }

  /** The number of copies of each expert. */
  public int[] copies() {
    int[] copies = new int[total];
    held.forEach(here -> here.forEach(expert -> copies[expert]++));
    return copies;
  }

  /** Whether any expert has several copies. */
  public boolean copied() {
    return held.stream().mapToInt(List::size).sum() > total;
  }

  /** Experts of the rank that holds most. */
  public int most() {
    return held.stream().mapToInt(List::size).max().orElseThrow();
  }
}

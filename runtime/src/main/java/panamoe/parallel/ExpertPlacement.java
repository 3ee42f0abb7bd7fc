package panamoe.parallel;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The experts that each member of an expert group holds: an even part of the layer's, and at
 * inference copies of others. An expert's rows are split evenly over its copies.
 *
 * @param total E, experts of the layer
 * @param held for each place of the group the numbers of its experts, in the order of their weights
 */
public record ExpertPlacement(int total, List<List<Integer>> held) {
  /** Every expert once: experts are split in order, as evenly as possible. */
  public static ExpertPlacement even(int total, int places) {
    return new ExpertPlacement(
        total,
        IntStream.range(0, places)
            .mapToObj(
                place ->
                    IntStream.range(
                            Topology.firstExpert(total, places, place),
                            Topology.firstExpert(total, places, place + 1))
                        .boxed()
                        .toList())
            .toList());
  }

  /**
   * Adds copies of the experts with most rows: the next copy is of the expert with most rows for
   * each copy it has, at the place with fewest rows that has room and lacks it.
   *
   * @param rows of each expert, as measured
   * @param room copies that each place may get
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
        .filter(place -> held.get(place).size() < own.get(place).size() + room)
        .filter(place -> !held.get(place).contains(expert))
        .boxed()
        .min(Comparator.comparingDouble(place -> rowsAt(place, rows)))
        .map(
            place -> {
              List<List<Integer>> more = new ArrayList<>(held);
              List<Integer> here = new ArrayList<>(held.get(place));
              here.add(expert);
              more.set(place, List.copyOf(here));
              return new ExpertPlacement(total, List.copyOf(more));
            });
  }

  /** Rows that a place computes, of {@code rows} of each expert. */
  public double rowsAt(int place, long[] rows) {
    int[] copies = copies();
    return held.get(place).stream().mapToDouble(e -> (double) rows[e] / copies[e]).sum();
  }

  /** For each expert the number of places that hold it. */
  public int[] copies() {
    int[] copies = new int[total];
    held.forEach(here -> here.forEach(expert -> copies[expert]++));
    return copies;
  }

  /** Whether any expert has several copies. */
  public boolean copied() {
    return held.stream().mapToInt(List::size).sum() > total;
  }

  /** Experts of the place that holds most. */
  public int most() {
    return held.stream().mapToInt(List::size).max().orElseThrow();
  }
}

package panamoe.parallel;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Words;

/**
 * Prints a topology: what each rank holds, and the groups by their names in messages.
 *
 * @param nodes of the ranks, equally many on each, in order
 * @param experts of each layer, 0 for a dense one
 */
public record TopologyText(Topology topology, int nodes, List<Integer> experts) {
  @Override
  public String toString() {
    List<List<String>> table = new ArrayList<>();
    table.add(row("rank", String::valueOf));
    if (nodes > 1) {
      table.add(row("node", rank -> String.valueOf(rank / (topology.ranks() / nodes))));
    }
    table.add(row("part of the batch", rank -> String.valueOf(topology.data(rank))));
    if (topology.tensorDegree() > 1) {
      table.add(row("slice of heads and MLPs", rank -> String.valueOf(topology.tensor(rank))));
    }
    if (topology.expertSlices() > 1) {
      table.add(row("slice of experts", rank -> String.valueOf(topology.slice(rank))));
    }
    for (int layer = 0; layer < experts.size(); layer++) {
      int count = experts.get(layer);
      if (count > 0) {
        table.add(row("experts of layer " + layer, rank -> held(count, rank)));
      }
    }
    StringBuilder text = new StringBuilder(headline());
    table.forEach(row -> text.append(line(row, width(table))));
    text.append("\n");
    group(
        text, "tensor", "slices of the same tokens", rank -> "tensor[" + topology.data(rank) + "]");
    if (topology.sharesRows()) {
      group(
          text,
          "slices",
          "slices of the same experts",
          rank -> "slices[" + topology.data(rank) + "," + topology.sub(rank) + "]");
    }
    group(text, "data", "sum of dense gradients", rank -> "data[" + topology.tensor(rank) + "]");
    for (int degree : degrees()) {
      IntFunction<String> slice = rank -> "," + topology.slice(rank) + "]";
      group(
          text,
          "expert" + degree,
          "exchange of rows",
          rank -> "expert" + degree + "[" + topology.expertData(rank, degree) + slice.apply(rank));
      group(
          text,
          "expert-data" + degree,
          "sum of expert gradients",
          rank -> "expert-data" + degree + "[" + topology.expert(rank, degree) + slice.apply(rank));
    }
    return text.toString();
  }

  private String headline() {
    return Words.of(
        "%d ranks = %d data x %d tensor%s%n%n",
        topology.ranks(),
        topology.dataDegree(),
        topology.tensorDegree(),
        topology.expertSlices() == 1 ? "" : ", experts in " + topology.expertSlices() + " slices");
  }

  private List<Integer> degrees() {
    return experts.stream()
        .filter(count -> count > 0)
        .map(topology::expertDegree)
        .distinct()
        .sorted()
        .toList();
  }

  /** The experts of a layer that a rank holds: "3", "4-7". */
  private String held(int count, int rank) {
    int degree = topology.expertDegree(count);
    int first = Topology.firstExpert(count, degree, topology.expert(rank, degree));
    int last = Topology.firstExpert(count, degree, topology.expert(rank, degree) + 1) - 1;
    return first == last ? String.valueOf(first) : first + "-" + last;
  }

  private List<String> row(String title, IntFunction<String> ofRank) {
    List<String> row = new ArrayList<>(List.of(title));
    IntStream.range(0, topology.ranks()).mapToObj(ofRank).forEach(row::add);
    return row;
  }

  private static int width(List<List<String>> table) {
    return table.stream()
        .flatMap(row -> row.stream().skip(1))
        .mapToInt(String::length)
        .max()
        .orElse(1);
  }

  private static String line(List<String> row, int width) {
    return Words.of("%-24s", row.getFirst())
        + row.stream()
            .skip(1)
            .map(cell -> Words.of(" %" + (width + 1) + "s", cell))
            .collect(Collectors.joining())
        + "\n";
  }

  /** Prints the groups of one kind on a line, without groups of one rank. */
  private void group(StringBuilder text, String kind, String purpose, IntFunction<String> nameOf) {
    SortedMap<Integer, List<Integer>> byFirst = new TreeMap<>();
    Map<String, Integer> firsts = new TreeMap<>();
    for (int rank = 0; rank < topology.ranks(); rank++) {
      int first = firsts.merge(nameOf.apply(rank), rank, Math::min);
      byFirst.computeIfAbsent(first, _ -> new ArrayList<>()).add(rank);
    }
    if (byFirst.get(0).size() == 1) {
      return;
    }
    text.append(Words.of("%-14s %s%n", kind, purpose));
    byFirst.forEach(
        (first, ranks) ->
            text.append(
                Words.of(
                    "  %-18s %s%n",
                    nameOf.apply(first),
                    ranks.stream().map(String::valueOf).collect(Collectors.joining(" ")))));
  }
}

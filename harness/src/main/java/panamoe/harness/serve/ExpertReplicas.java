package panamoe.harness.serve;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Require;
import panamoe.open.ExpertCounts;
import panamoe.open.ExpertHeat;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Option;

/** The options for replicas of the most used experts: {@code @Mixin ExpertReplicas replicas}. */
@OptionGroup("Copies of experts")
final class ExpertReplicas {
  @Option(
      names = "--replicas",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Copies of other ranks' experts that each rank holds in each layer, of those with most rows; changes no bit.")
  private int each;

  @Option(
      names = "--expert-load",
      paramLabel = "FILE",
      description = "What GET /v1/moe/stats returned: the rows of each expert, for --replicas.")
  private Path load;

  private final Map<Integer, long[]> rows = new HashMap<>();

  /**
   * Reads the expert load before ranks start.
   *
   * @param experts of each layer of the model
   * @throws IllegalArgumentException in one sentence, if the options contradict each other, or the
   *     load is of another model
   */
  void read(List<Integer> experts, Topology topology) {
    Require.that(each >= 0, "--replicas is %s, expected 0 or more", each);
    Require.that(
        each > 0 == (load != null),
        "--replicas N and --expert-load FILE go together: FILE lists the experts with most rows");
    if (load == null) {
      return;
    }
    Require.that(
        experts.stream().anyMatch(count -> count > 0 && topology.expertDegree(count) > 1),
        "--replicas copies experts from rank to rank, but every rank holds them all: --ep spreads them");
    for (ExpertHeat.Layer each : new ExpertCounts(load).read()) {
      int count = each.layer() < experts.size() ? experts.get(each.layer()) : 0;
      Require.that(
          each.tokens().length == count,
          "%s has counts of %s experts in layer %s, expected %s: it belongs to another model",
          load,
          each.tokens().length,
          each.layer(),
          count);
      rows.put(each.layer(), each.tokens());
    }
  }

  /** Makes the next model that each rank loads hold replicas. Collective. */
  void apply(Ranks ranks) {
    ranks.requireSame(
        () -> {
          Map<String, String> mine = new HashMap<>(Map.of("--replicas", String.valueOf(each)));
          rows.forEach(
              (layer, counts) ->
                  mine.put(
                      "--expert-load of layer " + layer + " of checksum",
                      Integer.toHexString(Arrays.hashCode(counts))));
          return mine;
        });
    ranks.copyExperts(rows, each);
  }
}

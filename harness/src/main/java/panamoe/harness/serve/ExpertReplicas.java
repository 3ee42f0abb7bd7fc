package panamoe.harness.serve;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.StreamSupport;
import panamoe.harness.UserText;
import panamoe.harness.help.OptionGroup;
import panamoe.io.Require;
import panamoe.io.StrictJson;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Option;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

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

  private Map<Integer, long[]> rows = Map.of();

  /**
   * Reads the expert load before ranks start.
   *
   * @param experts of each layer of the model
   * @throws IllegalArgumentException in one sentence, if the options contradict each other, or the
   *     load is of another model
   */
  void read(List<Integer> experts, Topology topology) throws IOException {
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
    Map<Integer, long[]> found = new HashMap<>();
    for (JsonNode each : tree().path("layers")) {
      int layer = each.path("layer").asInt(-1);
      long[] tokens =
          StreamSupport.stream(each.path("tokens").spliterator(), false)
              .mapToLong(number -> number.isIntegralNumber() ? number.asLong(-1) : -1)
              .toArray();
      if (layer < 0 || layer >= experts.size() || tokens.length != experts.get(layer)) {
        throw Require.refusal(
            "%s counts %s experts in layer %s: of another model", load, tokens.length, layer);
      }
      Require.that(
          LongStream.of(tokens).allMatch(count -> count >= 0),
          "%s: tokens of layer %s are not all whole numbers of 0 or more",
          load,
          layer);
      found.put(layer, tokens);
    }
    Require.that(!found.isEmpty(), "%s has no layers, as GET /v1/moe/stats returns", load);
    rows = found;
  }

  private JsonNode tree() throws IOException {
    byte[] text = UserText.of(load).getBytes(StandardCharsets.UTF_8);
    try {
      return StrictJson.tree(text);
    } catch (JacksonException e) {
      throw new IllegalArgumentException(load + " is no JSON: " + StrictJson.reason(e), e);
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

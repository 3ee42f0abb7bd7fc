package panamoe.open;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;

/**
 * Reads how often tokens chose each expert from an answer of {@code GET /v1/moe/stats} or a file of
 * {@link ExpertHeat}. Only {@code layer} and {@code tokens} of each layer are read.
 */
public record ExpertCounts(Path file) {
  private static final long MOST = 1_000_000_000_000_000L; // the sum over experts fits a long

  /**
   * The counts of each MoE layer, at least one.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public List<ExpertHeat.Layer> read() {
    JsonNode found = ConfigJson.tree(file, JsonNode.class).path("layers");
    if (!found.isArray() || found.isEmpty()) {
      throw wrong("expected \"layers\" with counts, as in an answer of GET /v1/moe/stats");
    }
    List<ExpertHeat.Layer> layers = new ArrayList<>();
    Set<Integer> seen = new HashSet<>();
    for (int i = 0; i < found.size(); i++) {
      String at = "layers[" + i + "].";
      JsonNode layer = found.get(i).path("layer");
      if (!layer.canConvertToInt() || !layer.isIntegralNumber() || layer.asInt() < 0) {
        throw wrong(at + "layer: expected the index of a layer");
      }
      if (!seen.add(layer.asInt())) {
        throw wrong(at + "layer: layer " + layer.asInt() + " is there twice");
      }
      layers.add(
          new ExpertHeat.Layer(layer.asInt(), counts(found.get(i).path("tokens"), at + "tokens")));
    }
    return layers;
  }

  private long[] counts(JsonNode found, String at) {
    if (!found.isArray()) {
      throw wrong(at + ": expected a list of counts");
    }
    long[] counts = new long[found.size()];
    for (int i = 0; i < counts.length; i++) {
      JsonNode count = found.get(i);
      if (!count.isIntegralNumber()
          || !count.canConvertToLong()
          || count.asLong() < 0
          || count.asLong() > MOST) {
        throw wrong(at + "[" + i + "]: expected a whole number of 0 to 10^15");
      }
      counts[i] = count.asLong();
    }
    return counts;
  }

  private IllegalArgumentException wrong(String what) {
    return new IllegalArgumentException(file + ": " + what);
  }
}

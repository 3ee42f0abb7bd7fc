package panamoe.open;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.engine.routes.RoutedLayer;
import panamoe.engine.routes.RoutingException;
import panamoe.io.UserFolder;
import panamoe.param.WeightTypes;

/**
 * How a model is loaded for inference or evaluation.
 *
 * @param types of its weights
 * @param memory most bytes for its weights; experts beyond that are read from a file on this
 *     machine when they are needed
 * @param experts the folder of that file; null if this machine has no cache folder
 * @param topK experts per token, from 1 to the trained number: one number for all MoE layers, or
 *     one for each; empty for the trained number
 * @param adapters of which each sequence chooses one
 */
public record InferenceSettings(
    WeightTypes types, long memory, Path experts, List<Integer> topK, NamedAdapters adapters) {
  /** Without adapters. */
  public InferenceSettings(WeightTypes types, long memory, Path experts, List<Integer> topK) {
    this(types, memory, experts, topK, NamedAdapters.NONE);
  }

  /** All weights in memory, experts per token as trained. */
  public static InferenceSettings of(WeightTypes types) {
    return new InferenceSettings(types, Long.MAX_VALUE, null, List.of());
  }

  /** These settings with the trained number of experts per token. */
  public InferenceSettings asTrained() {
    return new InferenceSettings(types, memory, experts, List.of(), adapters);
  }

  /** These settings with adapters of which each sequence chooses one. */
  public InferenceSettings with(NamedAdapters chosen) {
    return new InferenceSettings(types, memory, experts, topK, chosen);
  }

  /** {@code panamoe/experts} in the user's cache folder; null if the user has no cache folder. */
  public static Path usersExperts(Map<String, String> environment) {
    return UserFolder.CACHE.path(environment, "experts").orElse(null);
  }

  /**
   * The configuration with these settings.
   *
   * @throws RoutingException if the numbers of experts do not fit the model
   */
  public ModelConfig config(ModelConfig trained) {
    List<RoutedLayer> layers = RoutedLayer.of(trained);
    if (topK.isEmpty()) {
      return trained;
    }
    if (layers.isEmpty() || trained.encoder() != null) {
      throw new RoutingException(
          "the model has %s: its experts per token cannot be set",
          layers.isEmpty() ? "no MoE layers" : "an encoder");
    }
    if (topK.size() != 1 && topK.size() != layers.size()) {
      throw new RoutingException(
          "the experts per token are %s numbers, expected one, or one for each of %s MoE layers",
          topK.size(), layers.size());
    }
    int[] next = {0};
    return trained.withGates(
        gate -> {
          int i = next[0]++;
          int fewer = topK.get(topK.size() == 1 ? 0 : i);
          if (fewer < 1 || fewer > gate.topK()) {
            throw new RoutingException(
                "the experts per token are %s for layer %s, expected 1 to %s",
                fewer, layers.get(i).layer(), gate.topK());
          }
          return gate.withTopK(fewer);
        });
  }
}

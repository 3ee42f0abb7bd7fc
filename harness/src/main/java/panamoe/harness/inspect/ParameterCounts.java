package panamoe.harness.inspect;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;

/**
 * Parameter counts of a model.
 *
 * @param layers count per layer
 * @param encoderLayers count per encoder layer; empty without an encoder
 * @param parts count per part
 * @param activated parameters that one token uses: all except those of unused experts
 */
public record ParameterCounts(
    List<Long> layers, List<Long> encoderLayers, Map<Parameter.Part, Long> parts, long activated) {
  private static final String LAYERS = "layers.";
  private static final String ENCODER = "encoder.layers.";

  /**
   * Counts the parameters of a model that one rank holds whole. The model needs no allocated
   * weights.
   */
  public static ParameterCounts of(LanguageModel model) {
    ModelConfig config = model.config();
    List<BlockConfig> encoder = config.encoder() == null ? List.of() : config.encoder().blocks();
    return new ParameterCounts(
        byLayer(model, LAYERS, config.layers()),
        byLayer(model, ENCODER, encoder.size()),
        model.parameters().countByPart(),
        model.parameters().count()
            - unused(model, LAYERS, config.blocks())
            - unused(model, ENCODER, encoder));
  }

  private static List<Long> byLayer(LanguageModel model, String before, int layers) {
    return IntStream.range(0, layers)
        .mapToObj(layer -> count(model, before + layer + "."))
        .toList();
  }

  private static long count(LanguageModel model, String prefix) {
    return model.parameters().parameters().stream()
        .filter(parameter -> parameter.name().startsWith(prefix))
        .mapToLong(Parameter::count)
        .sum();
  }

  private static long unused(LanguageModel model, String before, List<BlockConfig> blocks) {
    long unused = 0;
    for (int layer = 0; layer < blocks.size(); layer++) {
      if (blocks.get(layer).feedForward() instanceof MoeConfig moe) {
        String prefix = before + layer + ".";
        for (Parameter parameter : model.parameters().parameters()) {
          if (parameter.part() == Parameter.Part.EXPERT && parameter.name().startsWith(prefix)) {
            long expert = parameter.count() / moe.experts();
            unused += expert * (moe.experts() - moe.gate().topK());
          }
        }
      }
    }
    return unused;
  }

  long total() {
    return parts.values().stream().mapToLong(count -> count).sum();
  }
}

package panamoe.harness.report;

import java.util.Arrays;
import java.util.List;
import panamoe.io.Require;

/**
 * The content of {@code routing.json}: tokens by language and expert.
 *
 * @param languages ISO 639-1 codes
 */
record Routing(List<String> languages, List<RoutedLayer> layers) {
  /**
   * @param tokens [language][expert], number of tokens sent to the expert
   */
  record RoutedLayer(int layer, int experts, long[][] tokens) {}

  Routing {
    for (RoutedLayer layer : layers) {
      boolean fits =
          layer.tokens().length == languages.size()
              && Arrays.stream(layer.tokens()).allMatch(row -> row.length == layer.experts());
      if (!fits) {
        throw Require.refusal(
            "layer %d: tokens must be %d languages x %d experts",
            layer.layer(), languages.size(), layer.experts());
      }
    }
  }
}

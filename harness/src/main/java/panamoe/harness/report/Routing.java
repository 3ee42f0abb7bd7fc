package panamoe.harness.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
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
  record RoutedLayer(int layer, int experts, long[][] tokens) {
    long tokensOfLanguage(int language) {
      return Arrays.stream(tokens[language]).sum();
    }

    long tokensOfExpert(int expert) {
      return Arrays.stream(tokens).mapToLong(row -> row[expert]).sum();
    }

    long total() {
      return Arrays.stream(tokens).flatMapToLong(Arrays::stream).sum();
    }
  }

  /**
   * An expert's preference for a language.
   *
   * @param share of the expert's tokens that are in this language
   * @param lift that share divided by the language's share of all tokens; 1 is no preference
   */
  record Preference(int expert, String language, double share, double lift) {}

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

  /**
   * The strongest preference of each expert with at least 1 % of the layer's tokens, strongest
   * first.
   */
  List<Preference> preferences(RoutedLayer layer) {
    List<Preference> preferences = new ArrayList<>();
    double total = layer.total();
    for (int expert = 0; expert < layer.experts(); expert++) {
      double taken = layer.tokensOfExpert(expert);
      if (taken == 0 || taken < total / 100) {
        continue;
      }
      List<Preference> ofExpert = new ArrayList<>();
      for (int language = 0; language < languages.size(); language++) {
        double share = layer.tokens()[language][expert] / taken;
        double expected = layer.tokensOfLanguage(language) / total;
        if (share > 0) {
          ofExpert.add(new Preference(expert, languages.get(language), share, share / expected));
        }
      }
      preferences.add(
          ofExpert.stream().max(Comparator.comparingDouble(Preference::lift)).orElseThrow());
    }
    preferences.sort(Comparator.comparingDouble(Preference::lift).reversed());
    return preferences;
  }
}

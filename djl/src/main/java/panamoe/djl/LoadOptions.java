package panamoe.djl;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import panamoe.api.Precision;
import panamoe.io.Require;
import panamoe.text.ModelOptions;

/**
 * What DJL's options say of a model.
 *
 * @param model how it is opened
 * @param threads of its device
 */
record LoadOptions(ModelOptions model, int threads) {
  private static final Set<String> OURS = Set.of("precision", "experts", "texts", "threads");
  // DJL says these to every model.
  private static final Set<String> OF_DJL = Set.of("modelName", "hasParameter", "epoch");

  /**
   * @param options may be null
   * @throws IllegalArgumentException if one is unknown or has no such value
   */
  static LoadOptions of(Map<String, ?> options) {
    Map<String, ?> given = options == null ? Map.of() : options;
    for (String name : given.keySet()) {
      if (!OURS.contains(name) && !OF_DJL.contains(name)) {
        throw new IllegalArgumentException(
            "the option " + name + " is unknown, expected precision, experts, texts or threads");
      }
    }
    ModelOptions model =
        ModelOptions.USUAL
            .withPrecision(choice(given, "precision", Precision.FLOAT32))
            .withExperts(choice(given, "experts", ModelOptions.Experts.STORED))
            .withTexts(number(given, "texts", 1));
    return new LoadOptions(model, number(given, "threads", 0));
  }

  private static <T extends Enum<T>> T choice(Map<String, ?> given, String name, T usual) {
    if (!given.containsKey(name)) {
      return usual;
    }
    String value = String.valueOf(given.get(name));
    List<T> choices = List.of(usual.getDeclaringClass().getEnumConstants());
    return choices.stream()
        .filter(choice -> lowerCase(choice).equals(value))
        .findFirst()
        .orElseThrow(
            () ->
                Require.refusal(
                    "%s is %s, expected one of %s",
                    name, value, choices.stream().map(LoadOptions::lowerCase).toList()));
  }

  private static String lowerCase(Enum<?> choice) {
    return choice.name().toLowerCase(Locale.ROOT);
  }

  private static int number(Map<String, ?> given, String name, int usual) {
    if (!given.containsKey(name)) {
      return usual;
    }
    String value = String.valueOf(given.get(name));
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a whole number", e);
    }
  }
}

package panamoe.djl;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import panamoe.api.Precision;
import panamoe.io.Require;
import panamoe.text.ModelOptions;

/**
 * DJL's options for loading a model.
 *
 * @param model options of the facade
 * @param threads of the device
 */
record LoadOptions(ModelOptions model, int threads) {
  private static final Set<String> OURS = Set.of("precision", "weights", "sequences", "threads");
  // DJL passes these to every model.
  private static final Set<String> OF_DJL = Set.of("modelName", "hasParameter", "epoch");

  /**
   * @param options may be null
   * @throws IllegalArgumentException if an option is unknown or its value is wrong
   */
  static LoadOptions of(Map<String, ?> options) {
    Map<String, ?> given = options == null ? Map.of() : options;
    for (String name : given.keySet()) {
      if (!OURS.contains(name) && !OF_DJL.contains(name)) {
        throw new IllegalArgumentException(
            "the option "
                + name
                + " is unknown, expected precision, weights, sequences or threads");
      }
    }
    ModelOptions model =
        ModelOptions.USUAL
            .withPrecision(choice(given, "precision", Precision.FLOAT32))
            .withWeights(choice(given, "weights", ModelOptions.Weights.STORED))
            .withSequences(number(given, "sequences", 1));
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

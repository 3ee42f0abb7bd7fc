package panamoe.harness.quantize;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The size of a model.
 *
 * @param number of bits per weight, or of bytes
 */
record ModelSize(double number, boolean perWeight) {
  /** Parses a size such as 4.5bpw, 12GB or 800MiB. */
  static final class Parser implements ITypeConverter<ModelSize> {
    private static final Pattern FORM = Pattern.compile("(\\d{1,9}(?:\\.\\d{1,6})?)([a-z]+)");
    private static final Map<String, Double> BYTES =
        Map.of("kb", 1e3, "mb", 1e6, "gb", 1e9, "kib", 0x1p10, "mib", 0x1p20, "gib", 0x1p30);

    @Override
    public ModelSize convert(String text) {
      Matcher matcher = FORM.matcher(text.toLowerCase(Locale.ROOT));
      String unit = matcher.matches() ? matcher.group(2) : "";
      boolean perWeight = unit.equals("bpw");
      double number = unit.isEmpty() ? 0 : Double.parseDouble(matcher.group(1));
      if (number == 0 || !perWeight && !BYTES.containsKey(unit)) {
        throw new TypeConversionException(
            "'"
                + text
                + "' is not a size, expected bits per weight or bytes such as 4.5bpw, 12GB or 800MiB");
      }
      return new ModelSize(perWeight ? number : number * BYTES.get(unit), perWeight);
    }
  }

  /** The bytes of a model. */
  long bytes(ModelConfig config) {
    try (LanguageModel model = new LanguageModel(config)) {
      return (long) (perWeight ? number * model.parameters().count() / Byte.SIZE : number);
    }
  }
}

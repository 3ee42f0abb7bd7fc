package panamoe.harness.quantize;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.io.ByteSize;
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
    private static final Pattern PER_WEIGHT =
        Pattern.compile("(?=.*[1-9])(\\d{1,9}(?:\\.\\d{1,6})?)bpw", Pattern.CASE_INSENSITIVE);

    @Override
    public ModelSize convert(String text) {
      Matcher bits = PER_WEIGHT.matcher(text);
      if (bits.matches()) {
        return new ModelSize(Double.parseDouble(bits.group(1)), true);
      }
      try {
        return new ModelSize(ByteSize.parse(text), false);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage() + ", or bits per weight such as 4.5bpw");
      }
    }
  }

  /** The bytes of a model. */
  long bytes(ModelConfig config) {
    try (LanguageModel model = new LanguageModel(config)) {
      return (long) (perWeight ? number * model.parameters().count() / Byte.SIZE : number);
    }
  }
}

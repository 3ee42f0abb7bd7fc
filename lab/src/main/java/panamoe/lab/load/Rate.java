package panamoe.lab.load;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * How many requests come a second: a number, or with {@code x} behind it a multiple of what the
 * server can do at most.
 *
 * @param text as it was given
 */
record Rate(String text, double number, boolean ofCapacity) {
  double perSecond(double capacity) {
    return ofCapacity ? number * capacity : number;
  }

  static final class Converter implements ITypeConverter<Rate> {
    @Override
    public Rate convert(String text) {
      boolean multiple = text.endsWith("x");
      try {
        double number = Double.parseDouble(multiple ? text.substring(0, text.length() - 1) : text);
        if (number > 0 && number <= 1e6) {
          return new Rate(text, number, multiple);
        }
      } catch (NumberFormatException _) {
        // refused below, like a number out of range
      }
      throw new TypeConversionException(
          "'" + text + "' is no rate: expected requests a second, as 5, or of the most, as 0.5x");
    }
  }
}

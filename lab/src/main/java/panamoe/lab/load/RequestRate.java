package panamoe.lab.load;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Requests per second: a number, or with the suffix {@code x} a multiple of the server's capacity.
 *
 * @param text as given on the command line
 */
record RequestRate(String text, double number, boolean ofCapacity) {
  double perSecond(double capacity) {
    return ofCapacity ? number * capacity : number;
  }

  static final class Converter implements ITypeConverter<RequestRate> {
    @Override
    public RequestRate convert(String text) {
      boolean multiple = text.endsWith("x");
      try {
        double number = Double.parseDouble(multiple ? text.substring(0, text.length() - 1) : text);
        if (number > 0 && number <= 1e6) {
          return new RequestRate(text, number, multiple);
        }
      } catch (NumberFormatException _) {
        // refused below, like a number out of range
      }
      throw new TypeConversionException(
          "'"
              + text
              + "' is not a rate: expected requests per second, such as 5, or a multiple of the capacity, such as 0.5x");
    }
  }
}

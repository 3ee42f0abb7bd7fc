package panamoe.io;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads numbers of bytes. */
public final class ByteSize {
  private static final Pattern FORM = Pattern.compile("(\\d{1,9}(?:\\.\\d{1,6})?)([a-z]+)");
  private static final Map<String, Double> UNITS =
      Map.of(
          "k", 0x1p10, "m", 0x1p20, "g", 0x1p30, "kib", 0x1p10, "mib", 0x1p20, "gib", 0x1p30, "kb",
          1e3, "mb", 1e6, "gb", 1e9);

  private ByteSize() {}

  /**
   * Reads a size such as 500k, 512MiB, 1.5g or 12GB: k and KiB are 1,024 bytes, kB is 1,000.
   *
   * @throws IllegalArgumentException for other text and for 0, naming what is expected
   */
  public static long parse(String text) {
    Matcher matcher = FORM.matcher(text.toLowerCase(Locale.ROOT));
    double unit = matcher.matches() ? UNITS.getOrDefault(matcher.group(2), 0.0) : 0;
    long bytes = unit == 0 ? 0 : (long) (Double.parseDouble(matcher.group(1)) * unit);
    Require.that(
        bytes > 0, "'%s' is not a size, expected bytes such as 500k, 512MiB, 1.5g or 12GB", text);
    return bytes;
  }
}

package panamoe.io;

import java.util.Locale;

/** Counts of things, in words. */
public final class Count {
  private Count() {}

  /** {@code 1 token} or {@code 2,048 tokens}; the plural adds an s. */
  public static String of(long number, String thing) {
    return String.format(Locale.ROOT, "%,d %s%s", number, thing, number == 1 ? "" : "s");
  }
}

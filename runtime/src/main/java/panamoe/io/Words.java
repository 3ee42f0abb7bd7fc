package panamoe.io;

import java.util.Locale;

/** Formats sentences independently of the machine's locale. */
public final class Words {
  private Words() {}

  /**
   * Formats like {@link String#format}. Without values the pattern is the sentence and may contain
   * any characters.
   */
  public static String of(String pattern, Object... values) {
    return values.length == 0 ? pattern : String.format(Locale.ROOT, pattern, values);
  }
}

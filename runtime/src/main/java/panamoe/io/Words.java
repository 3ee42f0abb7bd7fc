package panamoe.io;

import java.util.Locale;

/** Sentences with numbers in them, which read alike whatever the machine's language is. */
public final class Words {
  private Words() {}

  /**
   * The pattern with the values in their places, as {@link String#format} has them. Without values
   * it is a sentence, which may have any characters.
   */
  public static String of(String pattern, Object... values) {
    return values.length == 0 ? pattern : String.format(Locale.ROOT, pattern, values);
  }
}

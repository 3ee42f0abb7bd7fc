package panamoe.io;

/**
 * Checks arguments. A refusal is an {@link IllegalArgumentException} with one sentence: what is
 * wrong, its value, and what is expected.
 */
public final class Require {
  /** With this bound no product of sizes overflows. */
  public static final int MAX_SIZE = 1 << 24;

  public static final int MAX_WIDTH = 1 << 17;

  private Require() {}

  /**
   * @param pattern of the message, by {@link Words#of}
   */
  public static void that(boolean holds, String pattern, Object... values) {
    if (!holds) {
      throw refusal(pattern, values);
    }
  }

  /**
   * @param pattern of the sentence, by {@link Words#of}
   */
  public static IllegalArgumentException refusal(String pattern, Object... values) {
    return new IllegalArgumentException(Words.of(pattern, values));
  }

  public static void present(String name, Object value) {
    that(value != null, "%s is missing", name);
  }

  public static void size(String name, long value, long most) {
    between(name, value, 1, most);
  }

  public static void between(String name, long value, long least, long most) {
    that(value >= least && value <= most, "%s is %s, expected %s to %s", name, value, least, most);
  }

  public static void notNegative(String name, long value) {
    that(value >= 0, "%s is %s, expected 0 or more", name, value);
  }

  /** Requires a coefficient: a non-negative float32. */
  public static void notNegative(String name, double value) {
    boolean holds = value >= 0 && !Float.isInfinite((float) value);
    that(holds, "%s is %s, expected 0 or more", name, value);
  }

  public static void notZero(String name, double value) {
    boolean holds = value != 0 && Double.isFinite(value);
    that(holds, "%s is %s, expected a number other than 0", name, value);
  }

  public static void positiveFloat(String name, double value) {
    boolean holds = (float) value > 0 && !Float.isInfinite((float) value);
    that(holds, "%s is %s, expected a positive float32", name, value);
  }
}

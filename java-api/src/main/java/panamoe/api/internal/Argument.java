package panamoe.api.internal;

/** Argument checks of the public methods. */
public final class Argument {
  private Argument() {}

  /**
   * Returns the value.
   *
   * @throws IllegalArgumentException if it is null
   */
  public static <T> T notNull(String name, T value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " is null");
    }
    return value;
  }

  /**
   * Refuses a value.
   *
   * @throws IllegalArgumentException unless the condition holds
   */
  public static void require(boolean holds, String name, Object value, String expected) {
    if (!holds) {
      throw new IllegalArgumentException(name + " is " + value + ", expected " + expected);
    }
  }
}

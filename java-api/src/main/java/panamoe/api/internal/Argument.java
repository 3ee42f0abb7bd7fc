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
}

package panamoe.api;

/** Checks of arguments that every public method shares. */
final class Argument {
  private Argument() {}

  /**
   * The value.
   *
   * @throws IllegalArgumentException if it is null
   */
  static <T> T notNull(String name, T value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " is null");
    }
    return value;
  }
}

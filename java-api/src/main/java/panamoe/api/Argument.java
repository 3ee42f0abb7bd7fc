package panamoe.api;

/** Checks of arguments that every public method shares. */
final class Argument {
  private Argument() {}

  /**
   * The life of a device that is not null.
   *
   * @throws PanamoeException.BadArgument if it is
   */
  static Lifetime lifeOf(Device device) {
    return PanamoeException.translating(() -> notNull("device", device)).lifetime();
  }

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

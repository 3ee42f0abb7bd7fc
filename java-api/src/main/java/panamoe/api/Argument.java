package panamoe.api;

/** Argument checks of the public methods. */
final class Argument {
  private Argument() {}

  /**
   * The device's lifetime.
   *
   * @throws PanamoeException.BadArgument if the device is null
   */
  static Lifetime lifeOf(Device device) {
    return PanamoeException.translating(() -> notNull("device", device)).lifetime();
  }

  /**
   * Returns the value.
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

package panamoe.config;

/** Checks that records share. Each refusal names the key, what it holds and what is expected. */
final class Require {
  // With these bounds no count of parameters or bytes overflows.
  static final int MAX_SIZE = 1 << 24;
  static final int MAX_WIDTH = 1 << 17;

  private Require() {}

  static void present(String name, Object value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " is missing");
    }
  }

  static void size(String name, long value, long most) {
    between(name, value, 1, most);
  }

  static void between(String name, long value, long least, long most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected " + least + " to " + most);
    }
  }

  static void notNegative(String name, long value) {
    if (value < 0) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 0 or more");
    }
  }

  /** A coefficient: a float32, not negative. */
  static void notNegative(String name, double value) {
    if (!(value >= 0) || Float.isInfinite((float) value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 0 or more");
    }
  }

  static void positive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a positive number");
    }
  }

  static void notZero(String name, double value) {
    if (value == 0 || !Double.isFinite(value)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", expected a number other than 0");
    }
  }

  static void positiveFloat(String name, double value) {
    if (!((float) value > 0) || Float.isInfinite((float) value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a positive float32");
    }
  }
}

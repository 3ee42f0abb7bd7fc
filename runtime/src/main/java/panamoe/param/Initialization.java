package panamoe.param;

/**
 * How a parameter starts. Every element is drawn for itself, so that no two experts start alike.
 */
public sealed interface Initialization {
  /** Every element the same. */
  record Constant(float value) implements Initialization {}

  /** Normal with mean 0. */
  record Normal(float deviation) implements Initialization {}

  Initialization ZERO = new Constant(0);
  Initialization ONE = new Constant(1);
}

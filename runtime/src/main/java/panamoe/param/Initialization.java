package panamoe.param;

/** Initial values of a parameter. Elements are independent, so that experts start differently. */
public sealed interface Initialization {
  /** Every element the same. */
  record Constant(float value) implements Initialization {}

  /** Uniform from {@code -bound} to {@code bound}. */
  record Uniform(float bound) implements Initialization {}

  /** Normal with mean 0. */
  record Normal(float deviation) implements Initialization {}

  Initialization ZERO = new Constant(0);
  Initialization ONE = new Constant(1);
}

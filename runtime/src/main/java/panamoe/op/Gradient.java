package panamoe.op;

import panamoe.backend.Backend;
import panamoe.tensor.Tensor;

/**
 * The gradient of a parameter: FLOAT32 sums that every backward adds to. After {@link #forget} it
 * counts as zero whatever its memory holds: the first op writes its terms instead of adding them,
 * which saves clearing the memory. Used by one thread at a time.
 */
public final class Gradient {
  /** An op that writes its terms to {@code sums}, or adds them if {@code accumulate}. */
  interface Terms {
    void give(boolean accumulate, Tensor sums);
  }

  private final Backend backend;
  private final Tensor sums;
  private boolean forgotten;

  /**
   * @param sums FLOAT32, the gradient so far
   */
  public Gradient(Backend backend, Tensor sums) {
    this.backend = backend;
    this.sums = sums;
  }

  /** Sets it to zero without writing its memory, which {@link #sums} or the next op overwrites. */
  public void forget() {
    forgotten = true;
  }

  /** The sums so far, to read or to add to. */
  public Tensor sums() {
    if (forgotten) {
      backend.fill(0, sums);
      forgotten = false;
    }
    return sums;
  }

  /** Adds the terms of an op that gives one for every element. */
  void add(Terms terms) {
    terms.give(!forgotten, sums);
    forgotten = false;
  }
}

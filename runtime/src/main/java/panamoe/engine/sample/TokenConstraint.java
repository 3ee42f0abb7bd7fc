package panamoe.engine.sample;

import java.util.BitSet;

/** The tokens that may continue one sequence. Used by the engine's thread. */
public interface TokenConstraint {
  /**
   * The tokens that may come next, with the end of text if the completion may end here; never
   * empty. The caller does not change it; it is valid until {@link #accept}.
   */
  BitSet allowed();

  /** Advances by an allowed token other than the end of text. */
  void accept(int token);
}

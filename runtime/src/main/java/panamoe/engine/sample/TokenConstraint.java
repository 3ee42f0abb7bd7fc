package panamoe.engine.sample;

import java.util.BitSet;

/** Which tokens a text may go on with: one for each text. Used by the engine's thread. */
public interface TokenConstraint {
  /**
   * The tokens that may come next, the end of text among them where the text may end; never empty.
   * Not to be changed, and valid until {@link #accept}.
   */
  BitSet allowed();

  /** Goes on with one of them, which is not the end of text. */
  void accept(int token);
}

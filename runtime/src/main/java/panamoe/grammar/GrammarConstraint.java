package panamoe.grammar;

import java.util.BitSet;
import panamoe.engine.sample.TokenConstraint;

/** Constrains one sequence to a grammar. */
final class GrammarConstraint implements TokenConstraint {
  private final TokenMasks masks;
  private State state;

  GrammarConstraint(State start, TokenMasks masks) {
    this.masks = masks;
    state = start;
  }

  @Override
  public BitSet allowed() {
    return masks.allowed(state);
  }

  @Override
  public void accept(int token) {
    State next = masks.after(state, token);
    if (next == null) {
      throw new IllegalArgumentException("token " + token + " is not allowed here");
    }
    state = next;
  }
}

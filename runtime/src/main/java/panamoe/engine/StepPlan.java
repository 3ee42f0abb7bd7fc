package panamoe.engine;

import java.util.ArrayList;
import java.util.List;

/**
 * What a step computes of which sequences. Made once and filled for each step. Used by the engine's
 * thread.
 */
final class StepPlan {
  /**
   * A sequence's part of the step.
   *
   * @param count its rows
   * @param wanted the number of its last row among those whose logits are asked for; -1: they are
   *     not
   */
  record Part(Sequence sequence, int count, int wanted) {}

  private final StepRows[] ranks;
  private final List<Part> parts = new ArrayList<>();

  /**
   * @param ranks data ranks
   * @param most rows of each
   */
  StepPlan(int ranks, int most) {
    this.ranks = new StepRows[ranks];
    for (int rank = 0; rank < ranks; rank++) {
      this.ranks[rank] = new StepRows(most);
    }
  }

  StepRows rank(int rank) {
    return ranks[rank];
  }

  int ranks() {
    return ranks.length;
  }

  List<Part> parts() {
    return parts;
  }

  void clear() {
    for (StepRows rows : ranks) {
      rows.clear();
    }
    parts.clear();
  }

  /**
   * Adds the next {@code count} tokens of a sequence; if they are its last, asks for the logits.
   */
  void add(Sequence sequence, int count) {
    StepRows rows = ranks[sequence.rank];
    for (int position = sequence.computed; position < sequence.computed + count; position++) {
      rows.add(sequence.tokens[position], sequence.slot, position);
    }
    parts.add(new Part(sequence, count, count == sequence.left() ? rows.want() : -1));
  }

  /** A sequence has another block. */
  void changed(Sequence sequence, int index) {
    ranks[sequence.rank].change(sequence.slot, index, sequence.blocks[index]);
  }
}

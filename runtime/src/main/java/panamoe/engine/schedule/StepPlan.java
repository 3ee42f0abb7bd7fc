package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a step computes of which sequences. Made once and filled for each step. Used by the engine's
 * thread.
 */
final class StepPlan {
  /**
   * A sequence's part of the step.
   *
   * @param count its rows, guesses behind its last token among them
   * @param guesses how many of them
   * @param row the first of them among the rows of its rank
   * @param wanted the number of its last token's row among the rows whose logits are asked for; the
   *     rows of guesses follow; -1: the step does not come to it
   */
  record Part(Sequence sequence, int count, int guesses, int row, int wanted) {}

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
   * Adds the next {@code count} tokens of a sequence, {@code guesses} behind its last one among
   * them; asks for the logits of the last one and of guesses.
   */
  void add(Sequence sequence, int count, int guesses) {
    StepRows rows = ranks[sequence.rank];
    int row = rows.count;
    if (sequence.source != null && sequence.computed == 0) {
      rows.encode(sequence.slot, sequence.source);
    }
    int last = sequence.length - 1;
    int wanted = -1;
    for (int position = sequence.computed; position < sequence.computed + count; position++) {
      rows.add(sequence.tokens[position], sequence.slot, position);
      if (position >= last) {
        int number = rows.want();
        wanted = position == last ? number : wanted;
      }
    }
    parts.add(new Part(sequence, count, guesses, row, wanted));
    for (StepRows each : ranks) {
      each.tellsRoutes |= sequence.request.routing().told();
      each.topK = sequence.topK;
    }
  }

  /** Whether all parts have the same top-k. */
  boolean uniform() {
    for (int i = 1; i < parts.size(); i++) {
      if (!alike(parts.get(i), parts.getFirst())) {
        return false;
      }
    }
    return true;
  }

  /** The first part of each top-k: a step computes rows of one alone. */
  List<Part> kinds() {
    List<Part> kinds = new ArrayList<>();
    for (Part part : parts) {
      if (kinds.stream().noneMatch(kind -> alike(part, kind))) {
        kinds.add(part);
      }
    }
    return kinds;
  }

  /**
   * Takes the parts of {@code mixed} that have the top-k of {@code kind}, in place of what is here.
   * All changes of tables come with the first kind.
   */
  void take(Part kind, StepPlan mixed) {
    clear();
    for (Part part : mixed.parts) {
      if (alike(part, kind)) {
        add(part.sequence(), part.count(), part.guesses());
      }
    }
    for (int rank = 0; kind == mixed.parts.getFirst() && rank < ranks.length; rank++) {
      ranks[rank].takeChanges(mixed.ranks[rank]);
    }
  }

  private static boolean alike(Part one, Part other) {
    return Arrays.equals(one.sequence().topK, other.sequence().topK);
  }

  /** A sequence has another block. */
  void changed(Sequence sequence, int index) {
    ranks[sequence.rank].change(sequence.slot, index, sequence.blocks[index]);
  }
}

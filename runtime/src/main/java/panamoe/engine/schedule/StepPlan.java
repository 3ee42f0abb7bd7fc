package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The rows of a step by sequence; filled for each step. Used by the engine's thread. */
final class StepPlan {
  /**
   * A sequence's part of the step.
   *
   * @param count its rows, with those of guesses after its last token
   * @param guesses how many of them are guesses
   * @param row index of the first among the rows of its rank
   * @param wanted index of its last token's row among the wanted rows, followed by those of
   *     guesses; -1 if the step does not reach the last token
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
   * Adds the next {@code count} tokens of a sequence, with {@code guesses} after its last one, and
   * asks for the logits of the last token and the guesses.
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
      each.reportsRoutes |= sequence.request.routing().reported();
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

  /** The first part of each top-k; one pass of a step computes rows of one top-k. */
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
   * Replaces this plan by the parts of {@code mixed} that have the top-k of {@code kind}. The first
   * kind brings all changes of tables.
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

  /** Notes that a sequence has another block. */
  void changed(Sequence sequence, int index) {
    ranks[sequence.rank].change(sequence.slot, index, sequence.blocks[index]);
  }
}

package panamoe.engine.schedule;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** The rows of a step by sequence; filled for each step. Used by the engine's thread. */
final class StepPlan {
  /**
   * A sequence's part of the step.
   *
   * @param count its rows, with those of guesses after its last token
   * @param guesses how many of them are guesses
   * @param row index of the first among the rows of its rank
   * @param wanted index among the wanted rows of its last token's, followed by those of guesses, or
   *     of the first that is read; -1 if none is wanted
   * @param asked how many of its rows are wanted
   */
  record Part(Sequence sequence, int count, int guesses, int row, int wanted, int asked) {
    /** The part without its first {@code read} wanted rows. */
    Part after(int read) {
      return new Part(sequence, count, guesses, row, wanted + read, asked - read);
    }

    /** Whether it is the last token of a sequence that has written, and perhaps guesses. */
    boolean decodes() {
      return sequence.written > 0 && count - guesses == 1;
    }
  }

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
   * asks for the logits of the last token and the guesses, or for the rows that are read.
   */
  void add(Sequence sequence, int count, int guesses) {
    StepRows rows = ranks[sequence.rank];
    int row = rows.count;
    if (sequence.source != null && sequence.computed == 0) {
      rows.encode(sequence.slot, sequence.source);
    }
    int before = rows.wantedCount;
    for (int position = sequence.computed; position < sequence.computed + count; position++) {
      rows.add(sequence.tokens[position], sequence.slot, position, sequence.adapter);
      if (sequence.wants(position)) {
        rows.want();
      }
    }
    int wanted = rows.wantedCount - before;
    parts.add(new Part(sequence, count, guesses, row, wanted == 0 ? -1 : before, wanted));
    for (StepRows each : ranks) {
      each.reportsRoutes |= sequence.readsRoutes();
      each.topK = sequence.topK;
      each.hidden = sequence.readsHidden();
    }
  }

  /** Whether no part is of a prompt. */
  boolean decodes() {
    for (int i = 0; i < parts.size(); i++) {
      if (!parts.get(i).decodes()) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether one pass computes all parts as they are: they have the same top-k, end alike, and those
   * of one adapter are neighbours.
   */
  boolean uniform() {
    for (int i = 1; i < parts.size(); i++) {
      if (!alike(parts.get(i), parts.getFirst())
          || parts.get(i).sequence().adapter < parts.get(i - 1).sequence().adapter) {
        return false;
      }
    }
    return true;
  }

  /** The first part for each pass. */
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
   * Replaces this plan by the parts of {@code mixed} that are in the pass of {@code kind}, in the
   * order of adapters. The first kind brings all changes of tables.
   */
  void take(Part kind, StepPlan mixed) {
    clear();
    mixed.parts.stream()
        .filter(part -> alike(part, kind))
        .sorted(Comparator.comparingInt(part -> part.sequence().adapter))
        .forEach(part -> add(part.sequence(), part.count(), part.guesses()));
    for (int rank = 0; kind == mixed.parts.getFirst() && rank < ranks.length; rank++) {
      ranks[rank].takeChanges(mixed.ranks[rank]);
    }
  }

  private static boolean alike(Part one, Part other) {
    return one.sequence().readsHidden() == other.sequence().readsHidden()
        && Arrays.equals(one.sequence().topK, other.sequence().topK);
  }

  /** Notes that a sequence has another block. */
  void changed(Sequence sequence, int index) {
    ranks[sequence.rank].change(sequence.slot, index, sequence.blocks[index]);
  }
}

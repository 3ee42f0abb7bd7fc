package panamoe.engine.schedule;

import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.engine.Readout;
import panamoe.engine.sample.TokenLogprobs;

/**
 * Reads a prompt's rows in the order of their positions. A row that is computed again, because its
 * sequence was preempted, is not read again. Used by the engine's thread.
 */
final class Reading {
  private final Readout readout;
  private final int length;
  private double[] sums = new double[0];
  private int rows;

  /**
   * @param length tokens of the prompt
   */
  Reading(Readout readout, int length) {
    this.readout = readout;
    this.length = length;
  }

  /** Whether it reads hidden states; otherwise logits. */
  boolean ofHidden() {
    return readout != Readout.LOGITS && readout != Readout.LOGPROBS;
  }

  /** Whether the row at {@code position} is to be read. */
  boolean wants(int position) {
    return switch (readout) {
      case LAST, LOGITS -> position == length - 1;
      case FIRST -> position == 0;
      case MEAN, LOGPROBS -> position >= rows;
    };
  }

  /** The number of first tokens whose rows are not to be read any more, or never. */
  int skips() {
    return switch (readout) {
      case LAST, LOGITS -> length - 1;
      case FIRST -> 0;
      case MEAN, LOGPROBS -> rows;
    };
  }

  /** Reads the next wanted row, which begins at {@code from}. */
  void add(float[] values, int from, int width) {
    sums = rows == 0 ? new double[width] : sums;
    for (int i = 0; i < width; i++) {
      sums[i] += values[from + i];
    }
    rows++;
  }

  /** Whether all wanted rows were read. */
  boolean done() {
    return left() == 0;
  }

  /** The number of rows that are still to be read. */
  int left() {
    return switch (readout) {
      case LAST, LOGITS, FIRST -> 1 - rows;
      case MEAN -> length - rows;
      case LOGPROBS -> length - 1 - rows;
    };
  }

  /**
   * The log probabilities of the tokens after the next wanted rows.
   *
   * @param logits [count, V] of these rows
   * @param tokens of the sequence
   * @param best how many of the most probable ones are reported
   */
  List<TokenLogprobs> score(Backend backend, float[] logits, int count, int[] tokens, int best) {
    int next = rows + 1;
    rows += count;
    return count == 0
        ? List.of()
        : TokenLogprobs.of(backend, logits, Arrays.copyOfRange(tokens, next, next + count), best);
  }

  /** The result; not all numbers are finite if those of a row were not. */
  float[] result() {
    float[] result = new float[sums.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (float) (sums[i] / rows);
    }
    return result;
  }
}

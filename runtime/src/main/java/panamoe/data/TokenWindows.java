package panamoe.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.LongUnaryOperator;
import panamoe.data.TokenSequences.Filled;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * Non-overlapping windows of L tokens, each token with the one that follows it. The last window may
 * be padded. Thread-safe.
 */
public final class TokenWindows {
  private final Tokens tokens;
  private final int length;
  private final int[] byteCounts;
  private final int endOfText;

  /**
   * @param tokens encoded by {@code tokenizer}
   * @param length L, at least 1
   */
  public TokenWindows(Tokens tokens, Tokenizer tokenizer, int length) {
    Require.that(length >= 1, "sequence length is %s, expected at least 1", length);
    this.tokens = tokens;
    this.length = length;
    endOfText = tokenizer.endOfText();
    byteCounts = new int[tokenizer.vocabularySize()];
    Arrays.setAll(byteCounts, token -> tokenizer.bytesOf(token).length);
  }

  /** L. */
  public int length() {
    return length;
  }

  /** The number of windows, with the padded one. */
  public long count() {
    return Math.ceilDiv(Math.max(0, tokens.size() - 1), length);
  }

  /**
   * Fills a batch with windows in the order of the text, from number {@code first}. Positions after
   * the last token get end-of-text and targets of {@link TrainingData#NO_TARGET}.
   *
   * @param ids INT32 [n*L]
   * @param targets INT32 [n*L]
   */
  public Filled fill(long first, Tensor ids, Tensor targets) {
    int windows = windowsOf(first, ids, targets);
    return fill(windows, i -> first + i, ids, targets);
  }

  /** Fills a batch; sequence i is the window {@code window.applyAsLong(i)}. */
  Filled fill(int sequences, LongUnaryOperator window, Tensor ids, Tensor targets) {
    HostView inputs = HostView.of(ids);
    HostView outputs = HostView.of(targets);
    long bytes = 0;
    for (int i = 0; i < sequences; i++) {
      bytes += fill(window.applyAsLong(i), inputs.memory(), outputs.memory(), i);
    }
    inputs.write();
    outputs.write();
    return Filled.whole(bytes, sequences, length);
  }

  /** Fills one sequence of a batch with a window; returns its bytes. */
  private long fill(long window, MemorySegment inputs, MemorySegment outputs, int sequence) {
    long from = Math.min(window, count()) * length;
    long at = (long) sequence * length;
    long count = Math.clamp(tokens.size() - 1 - from, 0, length);
    if (count > 0) {
      tokens.copyTo(from, inputs, at, count);
      tokens.copyTo(from + 1, outputs, at, count);
    }
    for (long i = at + count; i < at + length; i++) {
      inputs.setAtIndex(ValueLayout.JAVA_INT, i, endOfText);
      outputs.setAtIndex(ValueLayout.JAVA_INT, i, TrainingData.NO_TARGET);
    }
    long bytes = 0;
    for (long i = at; i < at + count; i++) {
      bytes += byteCounts[outputs.getAtIndex(ValueLayout.JAVA_INT, i)];
    }
    return bytes;
  }

  /** The number of windows in a batch, after checking its shape. */
  int windowsOf(long first, Tensor ids, Tensor targets) {
    boolean fits =
        ids.dtype() == DType.INT32
            && targets.dtype() == DType.INT32
            && ids.count() == targets.count()
            && ids.count() % length == 0;
    if (!fits || first < 0) {
      throw Require.refusal(
          "sequences of %s from %s on do not fill ids %s and targets %s",
          length, first, ids, targets);
    }
    return Math.toIntExact(ids.count() / length);
  }
}

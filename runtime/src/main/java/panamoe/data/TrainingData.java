package panamoe.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import panamoe.io.Count;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Training and validation sequences of L tokens, and for each token the one that follows it.
 *
 * <p>The training tokens are cut into windows of L that do not overlap. Training sequences have
 * unlimited numbers: every epoch visits all windows, in an order drawn from the seed and the epoch.
 * A sequence depends on its number only, so a run can resume from its step: with B sequences per
 * step, step s takes sequences s * B to (s + 1) * B - 1, and a rank or a micro-batch takes a part
 * of those. Thread-safe.
 */
public final class TrainingData implements TokenSequences {
  /** A target with this value does not count in the loss. */
  public static final int NO_TARGET = -1;

  private final TokenStream training;
  private final TokenStream validation;
  private final int[] byteCounts;
  private final int endOfText;
  private final int length;
  private final long seed;

  /**
   * Encodes the corpus.
   *
   * @param length L, tokens in a sequence, at least 1
   * @param seed of the order of training sequences
   * @throws DataException if the training part is shorter than one sequence, or the validation part
   *     shorter than two tokens
   */
  public TrainingData(Corpus corpus, Tokenizer tokenizer, int length, long seed) {
    if (length < 1) {
      throw new IllegalArgumentException("sequence length is " + length + ", expected at least 1");
    }
    this.length = length;
    this.seed = seed;
    endOfText = tokenizer.endOfText();
    byteCounts = new int[tokenizer.vocabularySize()];
    Arrays.setAll(byteCounts, token -> tokenizer.bytesOf(token).length);
    training = corpus.tokens(Corpus.Part.TRAINING, tokenizer);
    validation = corpus.tokens(Corpus.Part.VALIDATION, tokenizer);
    if (training.size() <= length) {
      throw new DataException(
          "the text has "
              + Count.of(training.size(), "token")
              + " to train on, a sequence of "
              + length
              + " needs "
              + (length + 1L)
              + "; give more text or shorter sequences");
    }
    if (validation.size() < 2) {
      throw new DataException(
          "the text has "
              + Count.of(validation.size(), "token")
              + " to validate on, expected at least 2");
    }
  }

  @Override
  public int length() {
    return length;
  }

  /** The number of training sequences in an epoch. */
  public long trainingSequences() {
    return (training.size() - 1) / length;
  }

  /** The number of validation sequences; the last one may be padded. */
  @Override
  public long validationSequences() {
    return Math.ceilDiv(validation.size() - 1, length);
  }

  @Override
  public long fillTraining(long first, Tensor ids, Tensor targets) {
    int sequences = sequences(first, ids, targets);
    long bytes = 0;
    for (int i = 0; i < sequences; i++) {
      bytes += fill(training, window(first + i), ids.data(), targets.data(), i);
    }
    return bytes;
  }

  @Override
  public long window(long number) {
    long windows = trainingSequences();
    return new Permutation(windows, Permutation.mix(seed) + number / windows).at(number % windows);
  }

  /**
   * Fills a batch with validation sequences in the order of the text, starting at number {@code
   * first}. Places after the last token get end-of-text and targets of {@link #NO_TARGET}.
   */
  @Override
  public long fillValidation(long first, Tensor ids, Tensor targets) {
    int sequences = sequences(first, ids, targets);
    long bytes = 0;
    for (int i = 0; i < sequences; i++) {
      bytes +=
          fill(
              validation,
              Math.min(first + i, validationSequences()),
              ids.data(),
              targets.data(),
              i);
    }
    return bytes;
  }

  private long fill(
      TokenStream tokens, long window, MemorySegment ids, MemorySegment targets, int sequence) {
    long from = window * length;
    long at = (long) sequence * length;
    long count = Math.clamp(tokens.size() - 1 - from, 0, length);
    if (count > 0) {
      tokens.copyTo(from, ids, at, count);
      tokens.copyTo(from + 1, targets, at, count);
    }
    for (long i = at + count; i < at + length; i++) {
      ids.setAtIndex(ValueLayout.JAVA_INT, i, endOfText);
      targets.setAtIndex(ValueLayout.JAVA_INT, i, NO_TARGET);
    }
    long bytes = 0;
    for (long i = from + 1; i <= from + count; i++) {
      bytes += byteCounts[tokens.get(i)];
    }
    return bytes;
  }

  private int sequences(long first, Tensor ids, Tensor targets) {
    boolean fits =
        ids.dtype() == DType.INT32
            && targets.dtype() == DType.INT32
            && ids.count() == targets.count()
            && ids.count() % length == 0;
    if (!fits || first < 0) {
      throw new IllegalArgumentException(
          "sequences of "
              + length
              + " from "
              + first
              + " on do not fill ids "
              + ids
              + " and targets "
              + targets);
    }
    return Math.toIntExact(ids.count() / length);
  }
}

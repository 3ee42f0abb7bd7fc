package panamoe.data;

import panamoe.io.Count;
import panamoe.io.DataException;
import panamoe.tensor.Tensor;

/**
 * Training and validation sequences of L tokens, each token with the one that follows it.
 *
 * <p>The training tokens are cut into non-overlapping windows of L. Training sequences are numbered
 * without end: every epoch visits all windows in an order that depends on the seed and the epoch. A
 * sequence depends on its number only, so a run can resume from its step: with B sequences per
 * step, step s takes sequences s * B to (s + 1) * B - 1, and a rank or a micro-batch takes a part
 * of those. Thread-safe.
 */
public final class TrainingData implements TokenSequences {
  /** A target with this value does not count in the loss. */
  public static final int NO_TARGET = -1;

  private final TokenWindows training;
  private final TokenWindows validation;
  private final long trainingSequences;
  private final long validationTargets;
  private final long seed;

  /**
   * Encodes text, or takes its tokens from the disk.
   *
   * @param length L, tokens in a sequence, at least 1
   * @param seed of the order of training sequences
   * @throws DataException if the training part is shorter than one sequence, or the validation part
   *     shorter than two tokens
   */
  public TrainingData(TokenSource source, Tokenizer tokenizer, int length, long seed) {
    Tokens toTrain = source.tokens(Corpus.Part.TRAINING, tokenizer);
    Tokens toValidate = source.tokens(Corpus.Part.VALIDATION, tokenizer);
    this.seed = seed;
    training = new TokenWindows(toTrain, tokenizer, length);
    validation = new TokenWindows(toValidate, tokenizer, length);
    trainingSequences = (toTrain.size() - 1) / length;
    validationTargets = toValidate.size() - 1;
    if (toTrain.size() <= length) {
      throw new DataException(
          "the text has %s to train on, a sequence of %s needs %s; give more text or shorter"
              + " sequences",
          Count.of(toTrain.size(), "token"), length, length + 1L);
    }
    if (toValidate.size() < 2) {
      throw new DataException(
          "the text has %s to validate on, expected at least 2",
          Count.of(toValidate.size(), "token"));
    }
  }

  @Override
  public int length() {
    return training.length();
  }

  /** Without padding. */
  @Override
  public long trainingSequences() {
    return trainingSequences;
  }

  /** The number of validation sequences; the last one may be padded. */
  @Override
  public long validationSequences() {
    return validation.count();
  }

  @Override
  public Filled fillTraining(long first, Tensor ids, Tensor targets) {
    int sequences = training.windowsOf(first, ids, targets);
    return training.fill(sequences, i -> window(first + i), ids, targets);
  }

  @Override
  public long window(long number) {
    long windows = trainingSequences();
    return new Permutation(windows, Permutation.mix(seed) + number / windows).at(number % windows);
  }

  /**
   * Fills a batch with validation sequences in the order of the text, from number {@code first}.
   * Positions after the last token get end-of-text and targets of {@link #NO_TARGET}.
   */
  @Override
  public Filled fillValidation(long first, Tensor ids, Tensor targets) {
    return validation.fill(first, ids, targets);
  }

  @Override
  public long validationLosses(long sequences) {
    return Math.min(sequences * length(), validationTargets);
  }
}

package panamoe.data;

import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** A trainer's data: numbered sequences of tokens, each token with the one that follows it. */
public interface TokenSequences {

  /**
   * What a batch was filled with.
   *
   * @param bytes the UTF-8 bytes of the targets: bits per byte = loss in nats / ln 2 * targets /
   *     bytes
   * @param texts the lengths in tokens of the texts that follow each other in the batch; attention
   *     does not cross their borders
   * @param filler whether a text only fills a sequence: gates do not route it; null if none does
   */
  record Filled(long bytes, int[] texts, BitSet filler) {
    /** Of {@code sequences} of L tokens, each a text of its own. */
    public static Filled whole(long bytes, long sequences, int length) {
      int[] texts = new int[Math.toIntExact(sequences)];
      Arrays.fill(texts, length);
      return new Filled(bytes, texts, null);
    }

    /** UINT8 [S], 0 for rows of filler; null if there cannot be any. */
    public Tensor used(TensorScope scope) {
      if (filler == null) {
        return null;
      }
      Tensor used = scope.allocate(DType.UINT8, IntStream.of(texts).asLongStream().sum());
      HostView view = HostView.of(used);
      long row = 0;
      for (int i = 0; i < texts.length; i++) {
        view.memory().asSlice(row, texts[i]).fill((byte) (filler.get(i) ? 0 : 1));
        row += texts[i];
      }
      view.write();
      return used;
    }
  }

  /** L, tokens in a sequence. */
  int length();

  /**
   * Fills a batch with n training sequences, starting at number {@code first}. A number always
   * gives the same sequence.
   *
   * @param ids INT32 [n*L]
   * @param targets INT32 [n*L], the token after each of ids, -1 where none counts
   */
  Filled fillTraining(long first, Tensor ids, Tensor targets);

  /**
   * The number of losses of {@code sequences} training sequences from number {@code first} on,
   * whose mean is a step's: targets, or pairs of answers.
   */
  default long trainingLosses(long first, int sequences) {
    return (long) sequences * length();
  }

  /** The number of training sequences in an epoch. Unlimited by default. */
  default long trainingSequences() {
    return Long.MAX_VALUE;
  }

  /** The corpus window of training sequence {@code number}; equal windows, equal sequences. */
  default long window(long number) {
    return number;
  }

  /** The number of validation sequences; sequences beyond it are empty. Unlimited by default. */
  default long validationSequences() {
    return Long.MAX_VALUE;
  }

  /** The number of losses of the first {@code sequences} of validation. */
  default long validationLosses(long sequences) {
    return sequences * length();
  }

  /** Fills a batch with validation sequences; arguments and result as in {@link #fillTraining}. */
  Filled fillValidation(long first, Tensor ids, Tensor targets);
}

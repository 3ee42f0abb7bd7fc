package panamoe.data;

import panamoe.tensor.Tensor;

/** A trainer's data: numbered sequences of tokens, each token with the one that follows it. */
public interface TokenSequences {

  /** L, tokens in a sequence. */
  int length();

  /**
   * Fills a batch with n training sequences, starting at number {@code first}. A number always
   * gives the same sequence.
   *
   * @param ids INT32 [n*L]
   * @param targets INT32 [n*L], the token after each of ids, -1 where no token follows
   * @return the UTF-8 bytes of the targets: bits per byte = loss in nats / ln 2 * targets / bytes
   */
  long fillTraining(long first, Tensor ids, Tensor targets);

  /** The corpus window of training sequence {@code number}; equal windows, equal sequences. */
  default long window(long number) {
    return number;
  }

  /** The number of validation sequences; sequences beyond it are empty. Unlimited by default. */
  default long validationSequences() {
    return Long.MAX_VALUE;
  }

  /** Fills a batch with validation sequences; arguments and result as in {@link #fillTraining}. */
  long fillValidation(long first, Tensor ids, Tensor targets);
}

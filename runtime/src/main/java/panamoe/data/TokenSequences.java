package panamoe.data;

import panamoe.tensor.Tensor;

/** Numbered sequences of tokens with the token that follows each: what a trainer asks for. */
public interface TokenSequences {

  /** L, tokens in a sequence. */
  int length();

  /**
   * Fills a batch with the training sequences from number {@code first} on, as many as fit. A
   * number always gives the same sequence.
   *
   * @param ids INT32 [n*L]
   * @param targets INT32 [n*L], the token after each of ids, -1 where there is none
   * @return bytes of text that the targets stand for: bits per byte = loss in nats / ln 2 * targets
   *     / bytes
   */
  long fillTraining(long first, Tensor ids, Tensor targets);

  /** How many validation sequences there are; what lies beyond is empty. By default without end. */
  default long validationSequences() {
    return Long.MAX_VALUE;
  }

  /** The same for validation. */
  long fillValidation(long first, Tensor ids, Tensor targets);
}

package panamoe.data;

/** Batches of token ids and their targets, by step: the same step gives the same batch, however often it is asked for. */
public interface TokenBatches {

  /**
   * Fills one training batch of whole sequences, one after the other.
   *
   * @param step from 0
   * @param ids [batch * sequence], the inputs
   * @param targets [batch * sequence], each input's next token; -1 where there is none
   */
  void batch(long step, int[] ids, int[] targets);

  /** Fills validation batch {@code index}, from 0; the indices wrap around. */
  void validationBatch(int index, int[] ids, int[] targets);

  /** Bytes of UTF-8 text that the targets stand for; -1 and the end-of-text token count none. */
  long bytes(int[] targets);
}

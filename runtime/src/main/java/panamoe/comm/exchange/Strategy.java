package panamoe.comm.exchange;

/** How an {@link Exchange} sends rows. All strategies give the same bits. */
public enum Strategy {
  /** Every rank sends to every other: p - 1 messages. */
  FLAT,
  /**
   * First within the nodes, then between them: (G - 1) + (N - 1) messages for N nodes of G ranks,
   * but each row is sent twice (DeepSpeed-MoE §5.3). Faster for small messages or many ranks.
   */
  HIERARCHICAL,
  /**
   * The faster of the two for the message size, by a table measured when the exchange is created.
   */
  AUTO
}

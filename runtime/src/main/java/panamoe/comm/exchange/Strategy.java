package panamoe.comm.exchange;

/** How an {@link Exchange} sends rows. The outcome is the same bits. */
public enum Strategy {
  /** Every rank to every other: p - 1 messages. */
  FLAT,
  /**
   * Within the nodes, then between them: (G - 1) + (N - 1) messages for N nodes of G ranks, each
   * row sent twice (DeepSpeed-MoE §5.3). Wins where messages are small or ranks many.
   */
  HIERARCHICAL,
  /** One of the two, by the size of what is sent, from a table measured at the start. */
  AUTO
}

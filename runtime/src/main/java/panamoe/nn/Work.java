package panamoe.nn;

import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * The work of one rank, for {@link Cost}: B sequences, each continued by L tokens after its cached
 * ones.
 *
 * @param training whether a backward follows the forward
 * @param recompute whether that backward recomputes each block
 * @param sequences B, of this rank
 * @param cached tokens of each sequence before this call; 0 in training
 * @param length L
 * @param logits rows that logits are computed for
 * @param dtype of activations, matrices and the cache
 * @param topology of the model's ranks
 */
public record Work(
    boolean training,
    boolean recompute,
    long sequences,
    long cached,
    long length,
    long logits,
    DType dtype,
    Topology topology) {

  /** A micro-batch of whole sequences, forward and backward. */
  public static Work training(long sequences, long length, DType dtype) {
    return new Work(true, false, sequences, 0, length, sequences * length, dtype, Topology.ONE);
  }

  /** A prompt; its last token gets logits. */
  public static Work prefill(long length, DType dtype) {
    return prefill(1, length, dtype);
  }

  /** Prompts of one length. */
  public static Work prefill(long sequences, long length, DType dtype) {
    return new Work(false, false, sequences, 0, length, sequences, dtype, Topology.ONE);
  }

  /** The next token of each sequence; all have {@code cached} tokens. */
  public static Work decode(long sequences, long cached, DType dtype) {
    return new Work(false, false, sequences, cached, 1, sequences, dtype, Topology.ONE);
  }

  /** This work on each data rank of {@code other}. */
  public Work over(Topology other) {
    return new Work(training, recompute, sequences, cached, length, logits, dtype, other);
  }

  /** S, rows of an activation. */
  public long tokens() {
    return sequences * length;
  }

  /** Ranks that split the heads of attention and the inner columns of MLPs. */
  public int tensorRanks() {
    return topology.tensorDegree();
  }

  /** Bytes of [S, width] in the work's dtype. */
  public double bytes(double width) {
    return tokens() * width * dtype.bytes();
  }

  /** Bytes of FLOAT32 or INT32 [S, width]. */
  public double bytes32(double width) {
    return tokens() * width * DType.FLOAT32.bytes();
  }
}

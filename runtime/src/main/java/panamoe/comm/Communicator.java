package panamoe.comm;

import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * A group of ranks that exchange tensors. Every member calls the same methods in the same order
 * (collectively); a method returns when this rank may use its tensors again.
 *
 * <p>Reductions add in rank order, bfloat16 in float32, so that every rank gets the same bits.
 *
 * <p>Before a collective the members compare their calls. If the calls do not match, or a member
 * dies or aborts, every call on every member throws a {@link CommunicationException} that names the
 * rank: no member hangs.
 *
 * <p>Used by one thread of each rank at a time.
 */
public interface Communicator extends AutoCloseable {
  /** This member's number, 0 to size - 1. */
  int rank();

  int size();

  /** The group's name in messages, such as {@code world} or {@code expert[0,1]}. */
  String name();

  /**
   * Sends a block of rows to every member and receives one from each, itself included. No counts
   * are exchanged first: the caller knows them (see {@link #allToAll(long[])}).
   *
   * @param send [R, ...], the blocks by destination rank
   * @param sendRows rows for each rank; their sum is at most R
   * @param receive [R', ...] of the same dtype and row shape; the blocks come by source rank
   * @param receiveRows rows from each rank
   */
  void allToAll(Tensor send, long[] sendRows, Tensor receive, long[] receiveRows);

  /**
   * All-to-all of numbers: every member gets equally many.
   *
   * @param send size * n numbers, by destination
   * @return size * n numbers, by source
   */
  long[] allToAll(long[] send);

  /**
   * Replaces the tensor by the sum over the members.
   *
   * @param tensor FLOAT32 or BFLOAT16, the same shape everywhere
   */
  void allReduce(Tensor tensor);

  /** The sum over the members, with the same bits on every rank. */
  double allReduce(double value);

  /**
   * Concatenates the rows of all members.
   *
   * @param send [R, ...]
   * @param receive rows of member 0, then member 1, ...
   * @param rows of each member; {@code rows[rank()] == R}
   */
  void allGather(Tensor send, Tensor receive, long[] rows);

  /**
   * All-gather of numbers; every member passes equally many.
   *
   * @return all values, ordered by rank
   */
  long[] allGather(long... values);

  /**
   * Sums over the members, then keeps this rank's rows.
   *
   * @param send FLOAT32 or BFLOAT16 [sum of rows, ...]
   * @param receive [rows[rank()], ...]
   */
  void reduceScatter(Tensor send, Tensor receive, long[] rows);

  /**
   * Member {@code root}'s bytes, on every member; the others' argument is ignored and may be null.
   */
  byte[] broadcast(byte[] bytes, int root);

  void barrier();

  /**
   * Sets where in the model the next calls happen, such as {@code layer 3 dispatch}. The members
   * compare it like sizes, and error messages quote it. Not collective; empty at first.
   */
  void at(String location);

  /**
   * A communicator of the members that gave the same color, ordered by key, then by rank.
   *
   * @param name of the new group, in messages
   */
  Communicator split(int color, int key, String name);

  /**
   * The number of the machine that this member runs on, from 0. Members on one machine share memory
   * and have the same number.
   */
  int node();

  /**
   * Whether collectives of tensors are enqueued in the device's stream, in order with its kernels,
   * without the host waiting. Otherwise they are complete when a call returns.
   */
  default boolean enqueues() {
    return false;
  }

  /**
   * Enqueues the collectives of this group, and of groups split from it, in another stream of the
   * device; does nothing if they use no stream. Call it on all members, before the first
   * collective.
   */
  default void enqueueOn(TensorDevice stream) {}

  /** This rank's clock in seconds; only differences are meaningful. */
  default double seconds() {
    return System.nanoTime() / 1e9;
  }

  /** The traffic that this member has sent through this communicator and those split off it. */
  Traffic traffic();

  /**
   * Makes every pending and later call of every rank in the world fail with {@code reason}. The
   * first reason stays. Any thread may call it.
   */
  void abort(String reason);

  /** Why the world has failed; null while this rank knows of no failure. Any thread may call it. */
  String failure();

  /**
   * Makes every pending and later call of every rank in the world fail, after each member has found
   * the same mismatch. Returns the exception to throw; its reason is the world's first.
   */
  CommunicationException mismatch(String sentence);

  /** Idempotent. A rank that closes the world while others still use it counts as lost. */
  @Override
  void close();
}

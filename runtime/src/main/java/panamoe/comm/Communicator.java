package panamoe.comm;

import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/**
 * A group of ranks that exchange tensors. Every member calls the same methods in the same order
 * (collectively); a method returns when this rank may use its tensors again.
 *
 * <p>Reductions add in rank order, bfloat16 in float32, so that every rank gets the same bits.
 *
 * <p>Before a collective the members agree on what they are about to do. Where they disagree, and
 * when a member dies or aborts, every call on every member fails with a {@link
 * CommunicationException} that names the rank: nobody hangs.
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
   * compare it as they compare sizes, and messages quote it. Not collective; empty at first.
   */
  void at(String place);

  /**
   * A communicator of the members that gave the same color, ordered by key, then by rank.
   *
   * @param name of the new group, in messages
   */
  Communicator split(int color, int key, String name);

  /**
   * The number of the machine that this member runs on, from 0. Members that share memory have the
   * same number.
   */
  int node();

  /**
   * Whether collectives of tensors are work of the device's stream: they come in order with its
   * kernels, and the host does not wait for them. Otherwise they are done when a call returns.
   */
  default boolean enqueues() {
    return false;
  }

  /**
   * Lets the collectives of this group and of those that are split from it be work of another
   * stream of the device, if they are work of one. The same on all members, before the first
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
   * Makes every pending and later call of every rank in the world fail with {@code reason}. Any
   * thread may call it. If the world has failed before, the first reason stays.
   */
  void abort(String reason);

  /**
   * Why the world has failed; null as long as this rank knows of no failure. Any thread may ask.
   */
  String failure();

  /**
   * Makes every pending and later call of every rank in the world fail with a sentence about a
   * disagreement, which each member has found; throw what this returns. If the world has failed
   * before, it has the first reason.
   */
  CommunicationException disagreement(String sentence);

  /** Idempotent. A rank that closes the world before the others are done with it counts as gone. */
  @Override
  void close();
}

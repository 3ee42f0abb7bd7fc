package panamoe.comm;

import panamoe.tensor.Tensor;

/**
 * A group of ranks that move tensors between each other. Every member calls the same methods in the
 * same order (collectively); a method returns when this rank's tensors may be used again.
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

  /** Says in messages which group this is, such as {@code world} or {@code expert[0,1]}. */
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
   * The same number of numbers to every member.
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

  /** The sum over the members, the same bits everywhere. */
  double allReduce(double value);

  /**
   * Puts the rows of every member behind each other.
   *
   * @param send [R, ...]
   * @param receive rows of member 0, then member 1, ...
   * @param rows of each member; {@code rows[rank()] == R}
   */
  void allGather(Tensor send, Tensor receive, long[] rows);

  /**
   * @return what each member gave, by rank; all give the same number of numbers
   */
  long[] allGather(long... values);

  /**
   * Sums over the members, then keeps this rank's rows.
   *
   * @param send FLOAT32 or BFLOAT16 [sum of rows, ...]
   * @param receive [rows[rank()], ...]
   */
  void reduceScatter(Tensor send, Tensor receive, long[] rows);

  /** Replaces the tensor by member {@code root}'s. */
  void broadcast(Tensor tensor, int root);

  /**
   * Member {@code root}'s bytes, on every member; the others' argument is ignored and may be null.
   */
  byte[] broadcast(byte[] bytes, int root);

  void barrier();

  /**
   * Says where in the model the next calls happen, such as {@code layer 3 dispatch}: compared among
   * the members like the sizes, and said in messages. Not collective; empty at first.
   */
  void at(String place);

  /**
   * A communicator of the members that gave the same color, ordered by key, then by rank.
   *
   * @param name of the new group, in messages
   */
  Communicator split(int color, int key, String name);

  /**
   * The number of the machine that this member runs on, the same for members that share memory;
   * counts from 0.
   */
  int node();

  /**
   * The time in seconds, as measured by a clock that runs on this rank; only differences mean
   * something.
   */
  default double seconds() {
    return System.nanoTime() / 1e9;
  }

  /** What this member sent so far, through this communicator and those split off it. */
  Traffic traffic();

  /**
   * Makes every pending and later call of every rank of the world fail with {@code reason}. Any
   * thread may call it; the first failure of a world stays.
   */
  void abort(String reason);

  /** Idempotent. A rank that closes the world before the others are done with it counts as gone. */
  @Override
  void close();
}

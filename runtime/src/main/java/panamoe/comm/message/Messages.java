package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Concurrent messages between the members of one group. Messages from one member to another with
 * one tag arrive in the order in which they were sent. Used by one thread at a time; other threads
 * may use other groups of the same ranks.
 */
public interface Messages {
  /**
   * Starts to send. Do not modify the memory until {@link #finished}.
   *
   * @param member of the group, not this one
   * @throws MessageException if the transport fails
   */
  void send(MemorySegment data, int member, int tag);

  /**
   * Starts to receive a message of at most the segment's size.
   *
   * @param member of the group, not this one
   * @throws MessageException if the transport fails
   */
  void receive(MemorySegment data, int member, int tag);

  /** How many messages were started since {@link #clear}. */
  int count();

  /**
   * Whether the messages from number {@code from} to before {@code to} are complete. Does not wait.
   *
   * @throws MessageException if one of them cannot be completed
   */
  boolean finished(int from, int to);

  /** Forgets all messages. Call it when all are finished. */
  void clear();

  /**
   * After the world has failed: stops messages from arriving in the caller's memory, if the
   * transport can guarantee that.
   */
  void cancel();

  /**
   * The messages of a part of this group. Collective; the members of a part pass equal arguments
   * except the rank.
   *
   * @param members of the part, by their numbers in this group
   * @param rank of this member in the part
   * @param arena for the part's buffers
   */
  Messages split(int[] members, int rank, Arena arena);

  /** Ends the group; its messages must be complete. */
  void close();
}

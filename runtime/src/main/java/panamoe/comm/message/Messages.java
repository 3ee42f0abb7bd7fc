package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Messages between the members of one group that are under way together. Those from one member to
 * another with one tag arrive in the order in which they were sent. Used by one thread at a time;
 * other groups of the same ranks are used by other threads meanwhile.
 */
public interface Messages {
  /**
   * Starts to send. The memory stays as it is until {@link #finished}.
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
   * After the world has failed: lets no message arrive in the caller's memory any more, if the
   * transport can promise that.
   */
  void cancel();

  /**
   * The messages of a part of this group; all members of the group split it at the same time, those
   * of a part with the same arguments but the rank.
   *
   * @param members of the part, by their numbers in this group
   * @param rank of this member in the part
   * @param arena for the part's buffers
   */
  Messages split(int[] members, int rank, Arena arena);

  /** Ends the group, whose messages are complete. */
  void close();
}

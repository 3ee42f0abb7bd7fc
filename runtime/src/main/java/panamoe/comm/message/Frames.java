package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The first message between every two members of a group in a collective: a digest of the sender's
 * call and the size of its data, followed by the data itself if it is small. A frame stays below
 * MPI's eager limit, so sending it does not block.
 */
final class Frames {
  /** Bytes of data that fit into a frame; larger data follows in a separate message. */
  static final int ROOM = 3072;

  private static final long DIGEST = 0;
  private static final long BYTES = 8;
  private static final int HEADER = 16;
  private static final long NOTHING_YET = -1;

  private final MemorySegment memory;

  Frames(int members, Arena arena) {
    this.memory = arena.allocate((long) members * (HEADER + ROOM), 64);
  }

  /** The whole frame of a member, as a receive buffer. */
  MemorySegment empty(int member) {
    MemorySegment frame = frame(member);
    frame.set(ValueLayout.JAVA_LONG, BYTES, NOTHING_YET);
    return frame;
  }

  /** Fills a frame; returns the part of it that is to be sent. */
  MemorySegment fill(int member, long digest, MemorySegment data) {
    MemorySegment frame = frame(member);
    frame.set(ValueLayout.JAVA_LONG, DIGEST, digest);
    frame.set(ValueLayout.JAVA_LONG, BYTES, data.byteSize());
    if (data.byteSize() > ROOM) {
      return frame.asSlice(0, HEADER);
    }
    MemorySegment.copy(data, 0, frame, HEADER, data.byteSize());
    return frame.asSlice(0, HEADER + data.byteSize());
  }

  boolean arrived(int member) {
    return bytes(member) != NOTHING_YET;
  }

  long digest(int member) {
    return frame(member).get(ValueLayout.JAVA_LONG, DIGEST);
  }

  /** Bytes of data that the member sends, in its frame or after it. */
  long bytes(int member) {
    return frame(member).get(ValueLayout.JAVA_LONG, BYTES);
  }

  /** Copies the data out of a frame that holds it. */
  void read(int member, MemorySegment target) {
    MemorySegment.copy(frame(member), HEADER, target, 0, target.byteSize());
  }

  /** A string as bytes, truncated to the size of a frame. */
  static MemorySegment words(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return MemorySegment.ofArray(Arrays.copyOf(bytes, Math.min(bytes.length, ROOM)));
  }

  String words(int member) {
    return new String(
        frame(member).asSlice(HEADER, bytes(member)).toArray(ValueLayout.JAVA_BYTE),
        StandardCharsets.UTF_8);
  }

  private MemorySegment frame(int member) {
    return memory.asSlice((long) member * (HEADER + ROOM), HEADER + ROOM);
  }
}

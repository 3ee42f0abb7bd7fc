package panamoe.harness.conformance.llamacpp;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.StoredType;
import panamoe.harness.conformance.replay.Replay;

/** Blocks of ggml's quantised types, which are decoded to ggml's bits. */
public final class BlockFormatCases {
  private BlockFormatCases() {}

  /** Decodes blocks that ggml quantised, and random ones. */
  public static void decoded(Replay replay) {
    StoredType type = StoredType.valueOf(replay.golden().setting("type").asText());
    decoded(replay, type, "blocks", "y");
    decoded(replay, type, "random_blocks", "random_y");
  }

  private static void decoded(Replay replay, StoredType type, String blocks, String expected) {
    long[] bytes = replay.golden().longs(blocks);
    float[] floats = replay.golden().floats(expected);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocate(bytes.length);
      for (int i = 0; i < bytes.length; i++) {
        from.set(ValueLayout.JAVA_BYTE, i, (byte) bytes[i]);
      }
      MemorySegment to = arena.allocate(ValueLayout.JAVA_FLOAT, floats.length);
      type.decode(from, to);
      replay.comparison().exact(expected, bits(floats), bits(to.toArray(ValueLayout.JAVA_FLOAT)));
    }
  }

  private static long[] bits(float[] floats) {
    long[] bits = new long[floats.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Float.floatToRawIntBits(floats[i]);
    }
    return bits;
  }
}

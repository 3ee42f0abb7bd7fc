package panamoe.testkit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** A caller's FLOAT32 memory. */
public final class Floats {
  private Floats() {}

  /** Memory with {@code count} normal numbers. */
  public static MemorySegment normals(Arena arena, int count, long seed) {
    return fill(arena.allocate(ValueLayout.JAVA_FLOAT, count), seed);
  }

  /** Fills memory with normal numbers. */
  public static MemorySegment fill(MemorySegment segment, long seed) {
    Random random = new Random(seed);
    for (long i = 0; i < segment.byteSize() / 4; i++) {
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  /** A copy of the numbers. */
  public static float[] of(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_FLOAT);
  }
}

package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import panamoe.tensor.DType;

/** Complements the cases of {@code panamoe conformance}. */
class StoredTypeTest {
  @Test
  void numbersWithoutBlocks() {
    assertArrayEquals(
        new float[] {1.5f, Float.NEGATIVE_INFINITY},
        decoded(StoredType.F64, MemorySegment.ofArray(new double[] {1.5, -1e300})));
    assertArrayEquals(
        new float[] {-0.0f, 3e38f},
        decoded(StoredType.F32, MemorySegment.ofArray(new float[] {-0.0f, 3e38f})));
  }

  @Test
  void severalBlocksFollowEachOther() {
    byte[] blocks = new byte[2 * 34];
    blocks[1] = 0x3c; // the scale 1
    blocks[2] = 5;
    blocks[35] = 0x40; // the scale 2
    blocks[36] = -128;
    blocks[67] = 127;
    float[] floats = decoded(StoredType.of(DType.Q8_0), MemorySegment.ofArray(blocks));
    assertEquals(64, floats.length);
    assertEquals(5, floats[0]);
    assertEquals(-256, floats[32]);
    assertEquals(254, floats[63]);
  }

  private static float[] decoded(StoredType type, MemorySegment from) {
    float[] to = new float[(int) from.byteSize() / type.bytes() * type.elements()];
    type.decode(from, MemorySegment.ofArray(to));
    return to;
  }

  @Test
  void partsOfBlocksAndIntegersAreRefused() {
    assertRefused(StoredType.of(DType.Q8_0), 33, 32);
    assertRefused(StoredType.of(DType.Q8_0), 68, 32);
    assertRefused(StoredType.I32, 8, 2);
  }

  private static void assertRefused(StoredType type, int bytes, int floats) {
    MemorySegment from = MemorySegment.ofArray(new byte[bytes]);
    MemorySegment to = MemorySegment.ofArray(new float[floats]);
    assertThrows(IllegalArgumentException.class, () -> type.decode(from, to));
  }
}

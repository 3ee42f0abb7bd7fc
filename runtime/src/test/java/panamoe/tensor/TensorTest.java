package panamoe.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorTest {
  private final CountingMemory memory = new CountingMemory();

  /** Tracks allocations that were not freed. */
  private static final class CountingMemory implements TensorMemory {
    final List<MemorySegment> live = new ArrayList<>();

    @Override
    public MemorySegment allocate(long bytes) {
      MemorySegment block = Arena.ofAuto().allocate(Math.max(bytes, 1), 64);
      live.add(block);
      return block;
    }

    @Override
    public void free(MemorySegment block) {
      assertTrue(live.remove(block), "freed twice, or never given out");
    }
  }

  @Test
  void useAfterCloseThrows() {
    TensorScope scope = TensorScope.confined(memory);
    Tensor tensor = scope.zeros(DType.FLOAT32, 2, 3);
    Tensor view = tensor.rows(0, 1);
    scope.close();
    for (Tensor dead : List.of(tensor, view)) {
      assertThrows(IllegalStateException.class, dead::data);
      assertThrows(IllegalStateException.class, dead::descriptor);
      assertThrows(IllegalStateException.class, () -> dead.getFloat(0));
      assertThrows(IllegalStateException.class, () -> dead.setFloat(0, 1));
      assertThrows(IllegalStateException.class, dead::toFloats);
      assertThrows(IllegalStateException.class, () -> dead.reshape(dead.count()));
      assertThrows(IllegalStateException.class, () -> dead.rows(0, 1));
    }
    assertThrows(IllegalStateException.class, () -> scope.allocate(DType.FLOAT32, 1));
  }

  @Test
  void closingTwiceFreesOnce() {
    TensorScope scope = TensorScope.shared(memory);
    scope.allocate(DType.FLOAT32, 4);
    scope.allocate(DType.INT32, 0);
    assertEquals(2, memory.live.size());
    scope.close();
    scope.close();
    assertTrue(scope.isClosed());
    assertEquals(0, memory.live.size());
  }

  @Test
  void closingWaitsForWhoStillUsesTheTensors() {
    TensorScope scope = TensorScope.confined(memory);
    Tensor tensor = scope.zeros(DType.FLOAT32, 4);
    List<Integer> live = new ArrayList<>();
    scope.inUseUntil(
        () -> {
          tensor.data();
          live.add(memory.live.size());
        });
    scope.close();
    scope.close();
    assertEquals(List.of(1), live);
    assertEquals(0, memory.live.size());
  }

  @Test
  void releaseGivesTheMemoryBackOnce() {
    try (TensorScope scope = TensorScope.confined(memory)) {
      Tensor tensor = scope.allocate(DType.FLOAT32, 4);
      Tensor other = scope.zeros(DType.FLOAT32, 4);
      Tensor view = tensor.reshape(2, 2);
      view.release();
      assertEquals(2, memory.live.size());
      tensor.release();
      tensor.release();
      assertEquals(1, memory.live.size());
      assertThrows(IllegalStateException.class, tensor::data);
      assertThrows(IllegalStateException.class, view::data);
      assertEquals(0, other.getFloat(3));
    }
    assertEquals(0, memory.live.size());
  }

  @Test
  void viewsShareMemory() {
    try (TensorScope scope = TensorScope.confined(memory)) {
      Tensor tensor = scope.zeros(DType.FLOAT32, 3, 2);
      Tensor rows = tensor.rows(1, 3);
      Tensor flat = rows.reshape(4);
      flat.setFloat(1, 5);
      assertEquals(5, tensor.getFloat(3));
      assertSame(tensor, flat.owner());
      assertArrayEquals(new long[] {2, 2}, rows.shape());
      assertEquals(16, rows.bytes());
      assertEquals(2, rows.size(-1));
      assertEquals(0, tensor.rows(3, 3).count());
      assertThrows(IllegalArgumentException.class, () -> tensor.rows(2, 4));
      assertThrows(IllegalArgumentException.class, () -> tensor.rows(2, 1));
      assertThrows(IllegalArgumentException.class, () -> tensor.reshape(5));
    }
  }

  @Test
  void elementsAreKeptInTheirDtype() {
    try (TensorScope scope = TensorScope.confined(memory)) {
      Tensor half = scope.allocate(DType.BFLOAT16, 3).set(1 + 0x1p-8f, 1 + 3 * 0x1p-8f, -2.5f);
      assertArrayEquals(new float[] {1, 1 + 0x1p-6f, -2.5f}, half.toFloats());
      Tensor bytes = scope.zeros(DType.UINT8, 1);
      bytes.setFloat(0, 200);
      assertEquals(200, bytes.getFloat(0));
      Tensor ids = scope.allocate(DType.INT32, 2).set(7, Integer.MIN_VALUE);
      assertArrayEquals(new int[] {7, Integer.MIN_VALUE}, ids.toInts());
      assertThrows(IllegalArgumentException.class, () -> ids.set(1, 2, 3));
    }
  }

  @Test
  void wrapsTheCallersMemoryWithoutFreeingIt() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(32, 64);
      try (TensorScope scope = TensorScope.confined(memory)) {
        Tensor tensor = scope.wrap(segment, DType.FLOAT32, 2, 3);
        tensor.setFloat(5, 3);
        assertThrows(IllegalArgumentException.class, () -> scope.wrap(segment, DType.FLOAT32, 9));
        assertThrows(
            IllegalArgumentException.class, () -> scope.wrap(segment.asSlice(2), DType.FLOAT32, 1));
        assertThrows(
            IllegalArgumentException.class,
            () -> scope.wrap(MemorySegment.ofArray(new float[4]), DType.FLOAT32, 4));
      }
      assertEquals(3, segment.getAtIndex(ValueLayout.JAVA_FLOAT, 5));
      assertEquals(0, memory.live.size());
    }
  }

  @Test
  void refusesShapesThatAreNone() {
    try (TensorScope scope = TensorScope.confined(memory)) {
      assertThrows(IllegalArgumentException.class, () -> scope.allocate(DType.FLOAT32, 2, -1));
      for (long size : new long[] {1L << 40, 1L << 22, 1L << 21, Long.MAX_VALUE}) {
        String refusal =
            assertThrows(
                    IllegalArgumentException.class,
                    () -> scope.allocate(DType.FLOAT32, 1L << 40, size))
                .getMessage();
        assertEquals("shape [1099511627776, " + size + "] is larger than any memory", refusal);
      }
      assertThrows(
          IllegalArgumentException.class, () -> scope.allocate(DType.FLOAT32, 1, 1, 1, 1, 1));
      Tensor floats = scope.allocate(DType.FLOAT32, 2);
      assertThrows(IllegalArgumentException.class, () -> floats.set(100, 200));
      assertThrows(IllegalArgumentException.class, () -> floats.setInt(0, 1));
    }
    assertEquals(0, memory.live.size());
  }
}

package panamoe.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.function.Executable;
import panamoe.backend.Backend;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

/**
 * {@link TensorMemory}, {@link HostElements} and {@link HostView}: equal results on every device.
 */
class DeviceMemoryTest {
  /** More than a staging buffer, and not a multiple of it. */
  private static final int MANY = (5 << 20) / Float.BYTES + 3;

  @EveryBackend
  void copiesBothWays(Backend backend) {
    try (backend;
        TensorScope scope = TensorScope.confined(backend);
        Arena arena = Arena.ofConfined()) {
      Tensor x = scope.allocate(DType.FLOAT32, 2, 3).set(1f, 2, 3, 4, 5, 6);
      MemorySegment host = arena.allocate(x.bytes(), 4);
      x.copyTo(host);
      host.setAtIndex(ValueLayout.JAVA_FLOAT, 4, 50);
      Tensor y = scope.allocate(DType.FLOAT32, 2, 3).copyFrom(host);
      host.fill((byte) 0); // it may change at once
      assertArrayEquals(new float[] {1, 2, 3, 4, 50, 6}, y.toFloats());
      y.rows(1, 2).copyFrom(x.rows(0, 1));
      assertArrayEquals(new float[] {1, 2, 3, 1, 2, 3}, y.toFloats());
      assertArrayEquals(new float[] {0, 0}, scope.zeros(DType.FLOAT32, 2).toFloats());
      assertThrows(IllegalArgumentException.class, () -> x.copyTo(host.asSlice(4)));
      assertThrows(IllegalArgumentException.class, () -> x.copyFrom(host.asSlice(4)));
    }
  }

  @EveryBackend
  void everyDtypeIsReadAndSetByElement(Backend backend) {
    try (backend;
        TensorScope scope = TensorScope.confined(backend)) {
      for (DType dtype : Sample.ELEMENTS) {
        Tensor x = scope.zeros(dtype, 5);
        x.setFloat(3, 7);
        assertArrayEquals(new float[] {0, 0, 0, 7, 0}, x.toFloats(), dtype.name());
        assertEquals(7, x.getFloat(3));
        assertThrows(IndexOutOfBoundsException.class, () -> x.getFloat(5));
        assertThrows(IndexOutOfBoundsException.class, () -> x.setFloat(-1, 0));
      }
      Tensor ints = scope.zeros(DType.INT32, 2);
      ints.setInt(1, Integer.MIN_VALUE + 1);
      assertEquals(Integer.MIN_VALUE + 1, ints.getInt(1));
      assertArrayEquals(new int[] {0, Integer.MIN_VALUE + 1}, ints.toInts());
      Tensor doubles = scope.zeros(DType.FLOAT64, 2);
      doubles.setDouble(1, 0.1);
      assertEquals(0.1, doubles.getDouble(1));
    }
  }

  @EveryBackend
  void oneTensorHasRoomForSeveral(Backend backend) {
    try (backend;
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor all = scope.zeros(DType.UINT8, 24);
      Tensor ints = all.part(0, DType.INT32, 2);
      Tensor doubles = all.part(16, DType.FLOAT64, 1);
      HostView view = HostView.of(all);
      view.read();
      view.memory().setAtIndex(ValueLayout.JAVA_INT, 1, 9);
      view.memory().setAtIndex(ValueLayout.JAVA_DOUBLE, 2, -2.5);
      view.write(16, 24);
      assertEquals(-2.5, doubles.getDouble(0));
      view.write(0, 8);
      assertArrayEquals(new int[] {0, 9}, ints.toInts());
      ints.setInt(0, 4);
      view.read(0, 4);
      assertEquals(4, view.memory().get(ValueLayout.JAVA_INT, 0));
      assertThrows(IllegalArgumentException.class, () -> all.part(2, DType.INT32, 1));
      assertThrows(IndexOutOfBoundsException.class, () -> all.part(16, DType.INT32, 3));
    }
  }

  @EveryBackend
  void largeTensorsCrossInPieces(Backend backend) throws IOException {
    try (backend;
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.allocate(DType.FLOAT32, MANY);
      float[] next = {0};
      x.writeBy(
          piece -> {
            for (long i = 0; i < piece.byteSize() / Float.BYTES; i++) {
              piece.setAtIndex(ValueLayout.JAVA_FLOAT, i, next[0]++);
            }
          });
      assertEquals(MANY, next[0]);
      float[] values = x.toFloats();
      for (int i = 0; i < values.length; i++) {
        assertEquals(i, values[i]);
      }
      long[] read = {0};
      x.set(values)
          .readBy(
              piece -> {
                assertEquals(
                    read[0] / Float.BYTES,
                    piece.get(ValueLayout.JAVA_FLOAT, 0),
                    "first of a piece");
                read[0] += piece.byteSize();
              });
      assertEquals(x.bytes(), read[0]);
    }
  }

  /** Reads wait for kernels; writes are done before later kernels read. */
  @EveryBackend
  void comesInOrderWithKernels(Backend backend) {
    try (backend;
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = scope.allocate(DType.FLOAT32, 3).set(1f, 2, 3);
      Tensor y = scope.zeros(DType.FLOAT32, 3);
      backend.add(1, x, 1, y, y);
      x.set(10f, 20, 30);
      backend.add(1, x, 1, y, y);
      assertArrayEquals(new float[] {11, 22, 33}, y.toFloats());
    }
  }

  /** A mistake is an exception, never the end of the process. */
  @EveryBackend
  void aGpusMemoryIsRefusedToTheHost(Backend backend) {
    try (backend;
        TensorScope scope = TensorScope.confined(backend);
        Arena arena = Arena.ofConfined()) {
      Tensor x = scope.zeros(DType.FLOAT32, 2);
      assertEquals(!backend.asynchronous(), x.onHost());
      if (x.onHost()) {
        assertEquals(x.data(), x.address());
      } else {
        String refusal = assertThrows(UnsupportedOperationException.class, x::data).getMessage();
        assertTrue(refusal.startsWith("FLOAT32[2] is in a GPU's memory"), refusal);
        MemorySegment memory = x.address().asSlice(4);
        List<Executable> accesses =
            List.of(
                () -> memory.get(ValueLayout.JAVA_FLOAT, 0),
                () -> memory.set(ValueLayout.JAVA_FLOAT, 0, 1),
                () -> memory.fill((byte) 0),
                () -> arena.allocate(4).copyFrom(memory),
                () -> memory.asByteBuffer().get(0));
        for (Executable access : accesses) {
          assertThrows(IllegalStateException.class, access);
        }
      }
      MemorySegment callers = arena.allocate(8, 4);
      Tensor wrapped = scope.wrap(callers, DType.FLOAT32, 2);
      assertEquals(callers, wrapped.data());
      assertArrayEquals(new float[2], wrapped.toFloats());
    }
  }
}

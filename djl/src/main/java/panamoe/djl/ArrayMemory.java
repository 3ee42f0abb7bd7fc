package panamoe.djl;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** DJL's arrays as native memory for the facade. */
final class ArrayMemory {
  private ArrayMemory() {}

  /** Whether an array's memory can be accessed directly: PyTorch on the CPU. */
  static boolean isGiven(NDArray array) {
    Engine engine = array.getManager().getEngine(); // null for arrays that only carry an object
    return engine != null
        && engine.getEngineName().equals("PyTorch")
        && array.getDevice().equals(Device.cpu());
  }

  /** An array's elements, row-major: its own memory if {@link #isGiven} and contiguous. */
  static MemorySegment of(NDArray array) {
    ByteBuffer own = array.toByteBuffer(true);
    return MemorySegment.ofBuffer(own.isDirect() ? own : copyOf(own));
  }

  /**
   * A buffer for an array's elements.
   *
   * @throws IllegalArgumentException if it exceeds the maximum size of a buffer
   */
  static ByteBuffer allocate(long floats) {
    if (floats > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          "an array of " + floats + " floats is larger than a buffer of Java");
    }
    int bytes = Math.toIntExact(floats * ValueLayout.JAVA_FLOAT.byteSize());
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  private static ByteBuffer copyOf(ByteBuffer heap) {
    return ByteBuffer.allocateDirect(heap.remaining()).put(heap.duplicate()).flip();
  }
}

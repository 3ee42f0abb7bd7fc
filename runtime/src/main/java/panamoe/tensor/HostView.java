package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A tensor's elements where the host reads and writes them: the tensor's own memory or, where the
 * host cannot access that, a copy. So code that works with many elements is written once: {@link
 * #read}, work with {@link #memory}, {@link #write}; on the host's own memory both do nothing.
 *
 * <p>The copy is freed with this object. Any thread may access it, one at a time.
 */
public final class HostView {
  private final Tensor tensor;
  private final MemorySegment copy; // null: the tensor's own memory

  private HostView(Tensor tensor) {
    this.tensor = tensor;
    this.copy = tensor.onHost() ? null : Arena.ofAuto().allocate(tensor.bytes(), 64);
  }

  /** A view whose contents are undefined until they are set or {@link #read}. */
  public static HostView of(Tensor tensor) {
    return new HostView(tensor);
  }

  /** The elements as they are now, to be read. */
  public static MemorySegment elements(Tensor tensor) {
    HostView view = of(tensor);
    view.read();
    return view.memory();
  }

  /**
   * All elements, row-major.
   *
   * @throws IllegalStateException if the tensor was freed
   */
  public MemorySegment memory() {
    return copy == null ? tensor.data() : copy;
  }

  /** Brings all elements here, once the kernels that write them are done. */
  public void read() {
    read(0, tensor.bytes());
  }

  /** Brings the bytes from {@code from} to {@code to} (exclusive) here. */
  public void read(long from, long to) {
    if (copy != null) {
      tensor.copyTo(from, copy.asSlice(from, to - from));
    }
  }

  /** Gives all elements to the tensor, for kernels that are called later. */
  public void write() {
    write(0, tensor.bytes());
  }

  /** Gives the bytes from {@code from} to {@code to} (exclusive) to the tensor. */
  public void write(long from, long to) {
    if (copy != null) {
      tensor.copyFrom(from, copy.asSlice(from, to - from));
    }
  }
}

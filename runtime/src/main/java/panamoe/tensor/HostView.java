package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A tensor's elements in the host's memory: the tensor's own memory or, if the host cannot access
 * it, a copy. Code calls {@link #read}, works with {@link #memory}, and calls {@link #write};
 * without a copy both do nothing.
 *
 * <p>The copy is freed with this object. Any thread may access it, one at a time.
 */
public final class HostView {
  private final Tensor tensor;
  private final MemorySegment copy; // null: no copy

  private HostView(Tensor tensor) {
    this.tensor = tensor;
    this.copy = tensor.onHost() ? null : Arena.ofAuto().allocate(tensor.bytes(), 64);
  }

  /** A view whose contents are undefined until they are set or {@link #read}. */
  public static HostView of(Tensor tensor) {
    return new HostView(tensor);
  }

  /** A view that has read the elements. */
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

  /** Copies all elements here, once the kernels that write them are done. */
  public void read() {
    read(0, tensor.bytes());
  }

  /** Copies the bytes from {@code from} to {@code to} (exclusive) here. */
  public void read(long from, long to) {
    if (copy != null) {
      tensor.copyTo(from, copy.asSlice(from, to - from));
    }
  }

  /** Copies all elements to the tensor, for kernels that are called later. */
  public void write() {
    write(0, tensor.bytes());
  }

  /** Copies the bytes from {@code from} to {@code to} (exclusive) to the tensor. */
  public void write(long from, long to) {
    if (copy != null) {
      tensor.copyFrom(from, copy.asSlice(from, to - from));
    }
  }
}

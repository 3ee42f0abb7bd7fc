package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.Require;

/**
 * Owns tensors; closing the scope frees them.
 *
 * <p>A confined scope and its tensors are used by the thread that opened it (activations of one
 * step). A shared scope may be used by any thread, one at a time (parameters of a model). Once it
 * is closed, the JVM refuses access to its tensors' memory. {@link #close} is idempotent.
 */
public final class TensorScope implements AutoCloseable {
  /** Descriptors that are allocated together. */
  private static final int DESCRIPTORS = 64;

  private final TensorMemory memory;
  private final Arena arena;
  // Only a shared scope's memory is given to callers, whose access must end when it closes.
  private final boolean shared;
  // The allocator's segment of each live tensor; the tensor's data is a slice of it.
  private final Map<Tensor, MemorySegment> blocks = new IdentityHashMap<>();
  private final List<Runnable> uses = new ArrayList<>();
  private MemorySegment descriptors = MemorySegment.NULL; // room for the next ones
  private boolean closed;

  private TensorScope(TensorMemory memory, Arena arena, boolean shared) {
    this.memory = memory;
    this.arena = arena;
    this.shared = shared;
  }

  public static TensorScope confined(TensorMemory memory) {
    return new TensorScope(memory, Arena.ofConfined(), false);
  }

  public static TensorScope shared(TensorMemory memory) {
    return new TensorScope(memory, Arena.ofShared(), true);
  }

  /** A row-major tensor with undefined contents. */
  public Tensor allocate(DType dtype, long... shape) {
    long bytes = Tensor.bytes(dtype, shape);
    return own(dtype, shape.clone(), Layout.ROW_MAJOR, bytes);
  }

  /** A row-major tensor of zeros. */
  public Tensor zeros(DType dtype, long... shape) {
    Tensor tensor = allocate(dtype, shape);
    tensor.zero();
    return tensor;
  }

  /**
   * A packed GEMM operand of the logical shape, {@code bytes} long, to be filled by the backend.
   */
  public Tensor allocatePacked(DType dtype, long bytes, long... shape) {
    return own(dtype, shape.clone(), Layout.PACKED, bytes);
  }

  /**
   * A tensor over memory that the caller owns: nothing is copied. Kernel calls keep its arena open
   * while they run, and throw {@link IllegalStateException} once it is closed.
   *
   * @throws IllegalArgumentException if the segment is on the heap, too small or misaligned for the
   *     dtype
   */
  public Tensor wrap(MemorySegment segment, DType dtype, long... shape) {
    requireOpen();
    long bytes = Tensor.bytes(dtype, shape);
    if (!segment.isNative()) {
      throw new IllegalArgumentException(
          "a heap segment cannot be wrapped; allocate it from an Arena");
    }
    if (segment.byteSize() < bytes) {
      throw Require.refusal(
          "the segment has %s bytes, %s of this shape needs %s", segment.byteSize(), dtype, bytes);
    }
    int alignment = Tensor.alignment(dtype);
    if (segment.address() % alignment != 0) {
      throw new IllegalArgumentException("the segment is not aligned to " + alignment + " bytes");
    }
    return new Tensor(
        this, dtype, shape.clone(), Layout.ROW_MAJOR, segment.asSlice(0, bytes), true);
  }

  /**
   * A tensor over memory of this scope's {@link TensorMemory} that another owner frees.
   *
   * @param memory its first bytes are the tensor's
   */
  public Tensor over(MemorySegment memory, DType dtype, long... shape) {
    requireOpen();
    MemorySegment part = memory.asSlice(0, Tensor.bytes(dtype, shape));
    return new Tensor(this, dtype, shape.clone(), Layout.ROW_MAJOR, part, false);
  }

  /** Like {@link #over}, of a packed operand. */
  public Tensor overPacked(MemorySegment memory, DType dtype, long... shape) {
    requireOpen();
    return new Tensor(this, dtype, shape.clone(), Layout.PACKED, memory, false);
  }

  /**
   * A stack [E, N, K] of packed matrices [N, K] of this scope, in any dtypes, where they are.
   *
   * @param packed at least one
   */
  public Tensor stack(List<Tensor> packed) {
    requireOpen();
    long[] matrix = packed.getFirst().shape();
    long bytes = Descriptor.LAYOUT.byteSize();
    MemorySegment table = arena.allocate(packed.size() * bytes, Long.BYTES);
    for (int i = 0; i < packed.size(); i++) {
      table.asSlice(i * bytes, bytes).copyFrom(packed.get(i).descriptor());
    }
    return new Tensor(this, new long[] {packed.size(), matrix[0], matrix[1]}, table, packed);
  }

  /**
   * Registers another thread's use of this scope's tensors: closing calls {@code end}, which waits
   * for it, before freeing memory.
   */
  public void inUseUntil(Runnable end) {
    requireOpen();
    uses.add(end);
  }

  public boolean isClosed() {
    return closed;
  }

  /**
   * Frees all tensors, or none if it throws.
   *
   * @throws IllegalStateException if a native call uses a tensor of this scope or its memory
   * @throws WrongThreadException if the scope is confined to another thread
   */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    uses.forEach(Runnable::run);
    closeArena(); // first: it throws while a call uses a descriptor
    closed = true;
    freeBlocks();
  }

  /** Frees all blocks, even if a failed device refuses some. */
  private void freeBlocks() {
    RuntimeException failure = null;
    for (MemorySegment block : blocks.values()) {
      try {
        memory.free(block);
      } catch (RuntimeException e) {
        failure = failure == null ? e : failure;
      }
    }
    blocks.clear();
    if (failure != null) {
      throw failure;
    }
  }

  private void closeArena() {
    try {
      arena.close();
    } catch (IllegalStateException e) {
      throw new IllegalStateException(
          "a native call that has not returned uses memory that is to be freed", e);
    }
  }

  TensorMemory memory() {
    return memory;
  }

  /** Memory for a descriptor, as long as this scope is open. Views may be made by any thread. */
  synchronized MemorySegment descriptor() {
    if (descriptors.byteSize() == 0) {
      descriptors = arena.allocate(DESCRIPTORS * Descriptor.LAYOUT.byteSize(), Long.BYTES);
    }
    MemorySegment next = descriptors.asSlice(0, Descriptor.LAYOUT.byteSize());
    descriptors = descriptors.asSlice(next.byteSize());
    return next;
  }

  void release(Tensor tensor) {
    MemorySegment block = blocks.remove(tensor);
    if (block != null) {
      memory.free(block);
    }
  }

  private Tensor own(DType dtype, long[] shape, Layout layout, long bytes) {
    requireOpen();
    Descriptor.requireRank(shape);
    MemorySegment block = allocate(bytes, dtype, shape);
    try {
      Tensor tensor = new Tensor(this, dtype, shape, layout, block.asSlice(0, bytes), false);
      blocks.put(tensor, block);
      return tensor;
    } catch (OutOfMemoryError e) { // of the Java heap
      memory.free(block);
      throw e;
    }
  }

  private MemorySegment allocate(long bytes, DType dtype, long[] shape) {
    try {
      return shared ? memory.allocate(bytes, arena) : memory.allocate(bytes);
    } catch (OutOfMemoryError e) {
      OutOfMemoryError named =
          new OutOfMemoryError("tensor " + dtype + Arrays.toString(shape) + ": " + e.getMessage());
      named.initCause(e);
      throw named;
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the tensor scope is closed");
    }
  }
}

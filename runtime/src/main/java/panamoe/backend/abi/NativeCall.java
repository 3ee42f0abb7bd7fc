package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import panamoe.bindings.Status;
import panamoe.tensor.Tensor;

/**
 * One call of a C function on its tensors. The arenas of the descriptors and of callers' memory
 * stay open while it runs, because both are arguments of the downcall.
 */
final class NativeCall implements Runnable {
  private final String function;
  private final Downcall call;
  private final long stream;
  private final Tensor[] tensors;
  private final MemorySegment[] descriptors;
  private final MemorySegment[] held;

  /**
   * @param inStructs the first tensors, so many, are passed inside structs
   * @throws IllegalArgumentException if the call must hold more than four arenas
   */
  NativeCall(String function, int inStructs, Downcall call, long stream, Tensor[] tensors) {
    this.function = function;
    this.call = call;
    this.stream = stream;
    this.tensors = tensors;
    this.descriptors = new MemorySegment[tensors.length];
    this.held = Held.by(function, inStructs, tensors);
  }

  /**
   * Makes the call, without garbage.
   *
   * @throws IllegalStateException if a tensor or the arena of borrowed memory is closed
   */
  @Override
  public void run() {
    bind();
    Status.check(status(), function);
  }

  private int status() {
    try {
      return call.status(stream, descriptors, held);
    } catch (IllegalStateException e) { // which does not say whose arena is closed
      throw new IllegalStateException(function + " was given memory whose arena is closed", e);
    }
  }

  /** Fetches the descriptors anew, which checks that the tensors are alive. */
  void bind() {
    for (int i = 0; i < tensors.length; i++) {
      descriptors[i] = tensors[i] == null ? MemorySegment.NULL : tensors[i].descriptor();
    }
  }
}

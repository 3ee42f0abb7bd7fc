package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import panamoe.bindings.Status;
import panamoe.tensor.Tensor;

/** One call of a C function on its tensors. */
final class NativeCall implements Runnable {
  private final String function;
  private final Downcall call;
  private final long stream;
  private final Tensor[] tensors;
  private final MemorySegment[] descriptors;

  NativeCall(String function, Downcall call, long stream, Tensor[] tensors) {
    this.function = function;
    this.call = call;
    this.stream = stream;
    this.tensors = tensors;
    this.descriptors = new MemorySegment[tensors.length];
  }

  /** Makes the call, without garbage. */
  @Override
  public void run() {
    requireAlive();
    Status.check(call.status(stream, descriptors), function);
  }

  /** Fetches the descriptors anew, which checks that the tensors are alive. */
  void requireAlive() {
    for (int i = 0; i < tensors.length; i++) {
      descriptors[i] = tensors[i] == null ? MemorySegment.NULL : tensors[i].descriptor();
    }
  }
}

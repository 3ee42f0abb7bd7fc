package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.tensor.Tensor;

/**
 * What a call names in its arguments {@code held0} to {@code held3} (native/include/moe/tensor.h):
 * the callers' memory that its tensors lie in, one segment for each arena. Java keeps the arena of
 * an argument open during the call.
 */
final class Held {
  private static final int MOST = 4;
  private static final MemorySegment[] NONE = new MemorySegment[MOST];

  static {
    Arrays.fill(NONE, MemorySegment.NULL);
  }

  private Held() {}

  /**
   * @throws IllegalArgumentException if the tensors borrow the memory of more than four arenas
   */
  static MemorySegment[] by(String function, Tensor[] tensors) {
    MemorySegment[] held = NONE;
    int count = 0;
    for (Tensor tensor : tensors) {
      MemorySegment memory = tensor == null ? null : tensor.borrowedMemory();
      if (memory == null || contains(held, count, memory.scope())) {
        continue;
      }
      if (count == MOST) {
        throw new IllegalArgumentException(
            function + " was given memory of more than " + MOST + " arenas: copy some of it first");
      }
      held = count == 0 ? NONE.clone() : held;
      held[count++] = memory;
    }
    return held;
  }

  private static boolean contains(MemorySegment[] held, int count, MemorySegment.Scope scope) {
    for (int i = 0; i < count; i++) {
      if (held[i].scope().equals(scope)) {
        return true;
      }
    }
    return false;
  }
}

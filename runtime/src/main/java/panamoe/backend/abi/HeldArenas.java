package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.tensor.Tensor;

/**
 * The arguments {@code held0} to {@code held3} of a call (native/include/moe/tensor.h): one segment
 * for each arena of callers' memory, and of descriptors that only a struct points to. Java keeps
 * the arena of an argument open during the call.
 */
final class HeldArenas {
  private static final int MOST = 4;
  private static final MemorySegment[] NONE = new MemorySegment[MOST];

  static {
    Arrays.fill(NONE, MemorySegment.NULL);
  }

  private final String function;
  private MemorySegment[] held = NONE;
  private int count;

  private HeldArenas(String function) {
    this.function = function;
  }

  /**
   * @throws IllegalArgumentException if there are more than four arenas
   */
  static MemorySegment[] by(String function, Object[] arguments) {
    HeldArenas all = new HeldArenas(function);
    for (Object argument : arguments) {
      if (argument instanceof Tensor tensor) {
        all.add(tensor.borrowedMemory());
      } else if (argument instanceof Struct struct) {
        for (Tensor tensor : struct.tensors()) {
          if (tensor != null) {
            all.addUnlessArgument(tensor.descriptor(), arguments);
            all.add(tensor.borrowedMemory());
          }
        }
      }
    }
    return all.held;
  }

  private void addUnlessArgument(MemorySegment descriptor, Object[] arguments) {
    for (Object argument : arguments) {
      if (argument instanceof Tensor tensor
          && tensor.descriptor().scope().equals(descriptor.scope())) {
        return;
      }
    }
    add(descriptor);
  }

  private void add(MemorySegment memory) {
    if (memory == null || contains(memory.scope())) {
      return;
    }
    if (count == MOST) {
      throw new IllegalArgumentException(
          function + " was given memory of more than " + MOST + " arenas: copy some of it first");
    }
    held = count == 0 ? NONE.clone() : held;
    held[count++] = memory;
  }

  private boolean contains(MemorySegment.Scope scope) {
    for (int i = 0; i < count; i++) {
      if (held[i].scope().equals(scope)) {
        return true;
      }
    }
    return false;
  }
}

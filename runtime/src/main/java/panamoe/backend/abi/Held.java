package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.tensor.Tensor;

/**
 * What a call names in its arguments {@code held0} to {@code held3} (native/include/moe/tensor.h),
 * one segment for each arena: the callers' memory that its tensors lie in, and the descriptors that
 * it passes inside structs. Java keeps the arena of an argument open during the call.
 */
final class Held {
  private static final int MOST = 4;
  private static final MemorySegment[] NONE = new MemorySegment[MOST];

  static {
    Arrays.fill(NONE, MemorySegment.NULL);
  }

  private MemorySegment[] segments = NONE;
  private int count;

  private Held() {}

  /**
   * @param inStructs the first tensors, so many, are passed inside structs, the others as arguments
   * @throws IllegalArgumentException if more than four arenas must be held
   */
  static MemorySegment[] by(String function, int inStructs, Tensor[] tensors) {
    Held held = new Held();
    for (int i = 0; i < tensors.length; i++) {
      if (tensors[i] == null) {
        continue;
      }
      if (i < inStructs && !isArgument(tensors[i].descriptor().scope(), inStructs, tensors)) {
        held.add(function, tensors[i].descriptor());
      }
      if (tensors[i].borrowedMemory() != null) {
        held.add(function, tensors[i].borrowedMemory());
      }
    }
    return held.segments;
  }

  /** Whether a tensor that is passed as an argument has its descriptor in this arena. */
  private static boolean isArgument(MemorySegment.Scope arena, int inStructs, Tensor[] tensors) {
    for (int i = inStructs; i < tensors.length; i++) {
      if (tensors[i] != null && tensors[i].descriptor().scope().equals(arena)) {
        return true;
      }
    }
    return false;
  }

  private void add(String function, MemorySegment segment) {
    for (int i = 0; i < count; i++) {
      if (segments[i].scope().equals(segment.scope())) {
        return;
      }
    }
    if (count == MOST) {
      throw new IllegalArgumentException(
          function + " was given memory of more than " + MOST + " arenas: copy some of it first");
    }
    segments = count == 0 ? NONE.clone() : segments;
    segments[count++] = segment;
  }
}

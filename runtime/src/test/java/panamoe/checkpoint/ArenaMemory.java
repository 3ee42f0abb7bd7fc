package panamoe.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.tensor.TensorMemory;

/** Memory for tests without a backend; the garbage collector frees it. */
public final class ArenaMemory implements TensorMemory {
  @Override
  public MemorySegment allocate(long bytes) {
    return Arena.ofAuto().allocate(Math.max(1, bytes), 64);
  }

  @Override
  public void free(MemorySegment memory) {}
}

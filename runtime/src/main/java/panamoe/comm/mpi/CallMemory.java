package panamoe.comm.mpi;

import java.lang.foreign.Arena;
import java.util.function.Function;

/**
 * Native memory of one call, which MPI reads and writes while the call lasts. It is freed when the
 * call went well, for then MPI is done with it. After a failure it stays: messages may still be
 * under way into it, and the process is about to end.
 */
final class CallMemory {
  private CallMemory() {}

  /**
   * Lends memory to {@code call}; what it allocates is gone when it has returned, but not when it
   * has thrown.
   */
  static <T> T lend(Function<Arena, T> call) {
    Arena memory = Arena.ofConfined();
    T result = call.apply(memory);
    memory.close();
    return result;
  }
}

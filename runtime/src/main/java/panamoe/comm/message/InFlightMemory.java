package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.util.function.Function;

/**
 * Native memory that messages read and write during one call. It is freed after the call. If
 * messages may still arrive in it after a failure, it is kept: the process is about to end.
 */
public final class InFlightMemory {
  private InFlightMemory() {}

  /**
   * Runs {@code call} with an arena that is closed when the call returns.
   *
   * @param kept whether the arena stays open when the call throws
   */
  public static <T> T lend(boolean kept, Function<Arena, T> call) {
    Arena memory = Arena.ofConfined();
    boolean returned = false;
    try {
      T result = call.apply(memory);
      returned = true;
      return result;
    } finally {
      if (returned || !kept) {
        memory.close();
      }
    }
  }
}

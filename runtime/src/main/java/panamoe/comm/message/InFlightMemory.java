package panamoe.comm.message;

import java.lang.foreign.Arena;
import java.util.function.Function;

/**
 * Native memory that messages read and write during one call. It is freed after a successful call,
 * when they are done with it. After a failure it is kept: messages may still arrive in it, and the
 * process is about to end.
 */
public final class InFlightMemory {
  private InFlightMemory() {}

  /**
   * Runs {@code call} with an arena that is closed when the call returns, but not when it throws.
   */
  public static <T> T lend(Function<Arena, T> call) {
    Arena memory = Arena.ofConfined();
    T result = call.apply(memory);
    memory.close();
    return result;
  }
}

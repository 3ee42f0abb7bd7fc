package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;

/** One call of a function of the C ABI. */
@FunctionalInterface
interface Downcall {
  /**
   * Makes the call.
   *
   * @param stream the {@code moe_stream} to run on
   * @param t what the arguments given to {@link NativeLaunch#launch} point to, in their order
   * @param h four segments that the call keeps alive, {@link MemorySegment#NULL} where there are
   *     fewer
   * @return the {@code moe_status}
   */
  int status(long stream, MemorySegment[] t, MemorySegment[] h);
}

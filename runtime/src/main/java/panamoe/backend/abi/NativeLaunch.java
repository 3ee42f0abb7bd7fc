package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;

/**
 * Launches C functions. Each family of kernels is an interface beside this one, whose methods call
 * a C function each. The library checks their arguments, null tensors included.
 */
interface NativeLaunch {
  /** One call of a function of the C ABI. */
  @FunctionalInterface
  interface Downcall {
    /**
     * Makes the call.
     *
     * @param stream the {@code moe_stream} to run on
     * @param t what the arguments given to {@link #launch} point to, in their order
     * @param h four segments that the call keeps alive, {@link MemorySegment#NULL} where there are
     *     fewer
     * @return the {@code moe_status}
     */
    int status(long stream, MemorySegment[] t, MemorySegment[] h);
  }

  /**
   * Makes the call of a function.
   *
   * @param arguments what its pointers are made of: a tensor, a {@link Struct}, the memory of a
   *     config, or null for a null pointer
   */
  void launch(String function, Downcall call, Object... arguments);
}

package panamoe.backend.abi;

/**
 * Launches C functions. Each family of kernels is an interface beside this one, whose methods call
 * a C function each. The library checks their arguments, null tensors included.
 */
interface NativeLaunch {
  /**
   * Makes the call of a function.
   *
   * @param arguments what its pointers are made of: a tensor, a {@link Struct}, the memory of a
   *     config, or null for a null pointer
   */
  void launch(String function, Downcall call, Object... arguments);
}

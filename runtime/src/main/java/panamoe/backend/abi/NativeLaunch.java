package panamoe.backend.abi;

/**
 * Launches C functions. Kernels are in interfaces beside this one, whose methods call a C function
 * each. The library checks their arguments, null tensors included.
 */
interface NativeLaunch {
  /**
   * Makes the call of a function of the C ABI on this backend's stream.
   *
   * @param arguments those between the stream and {@code held0}, in their order: numbers of the
   *     types that C has, and for a pointer a tensor, a {@link Struct}, the memory of a config, or
   *     null
   */
  void launch(String function, Object... arguments);
}

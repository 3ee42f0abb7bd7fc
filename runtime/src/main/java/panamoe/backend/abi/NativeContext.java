package panamoe.backend.abi;

/**
 * What the interfaces of native kernels, whose methods call a C function each, need from their
 * backend. The library checks the arguments, null tensors included.
 */
interface NativeContext {
  /**
   * Calls a function of the C ABI on this backend's stream.
   *
   * @param arguments of the function from the stream to {@code held0}, without these: numbers of
   *     C's types; for a pointer a tensor, a {@link Struct}, the memory of a config, or null
   */
  void launch(String function, Object... arguments);
}

package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;

/**
 * Launches C functions by the number of their pointers: {@code launch("moe_cast", Moe::moe_cast, x,
 * y)}. An argument is a tensor, a {@link Struct}, the memory of a config, or null for a null
 * pointer. The four last parameters of each function, {@code h0} to {@code h3}, are what the call
 * keeps alive ({@link Held}).
 *
 * <p>Each family of kernels is an interface beside this one, whose methods call a C function each.
 * The library checks their arguments, null tensors included.
 */
interface NativeLaunch {
  /** Makes the call of {@code function} with pointers to the arguments. */
  void launch(String function, Downcall call, Object... arguments);

  /**
   * A function of 1 pointer.
   *
   * @param <M> {@link MemorySegment}
   */
  interface Of1<M> {
    int status(long stream, M a, M h0, M h1, M h2, M h3);
  }

  default void launch(String function, Of1<MemorySegment> call, Object a) {
    launch(
        function,
        (Downcall) (stream, t, h) -> call.status(stream, t[0], h[0], h[1], h[2], h[3]),
        new Object[] {a});
  }

  /** A function of 2 pointers. */
  interface Of2<M> {
    int status(long stream, M a, M b, M h0, M h1, M h2, M h3);
  }

  default void launch(String function, Of2<MemorySegment> call, Object a, Object b) {
    launch(
        function,
        (Downcall) (stream, t, h) -> call.status(stream, t[0], t[1], h[0], h[1], h[2], h[3]),
        new Object[] {a, b});
  }

  /** A function of 3 pointers. */
  interface Of3<M> {
    int status(long stream, M a, M b, M c, M h0, M h1, M h2, M h3);
  }

  default void launch(String function, Of3<MemorySegment> call, Object a, Object b, Object c) {
    launch(
        function,
        (Downcall) (stream, t, h) -> call.status(stream, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        new Object[] {a, b, c});
  }

  /** A function of 4 pointers. */
  interface Of4<M> {
    int status(long stream, M a, M b, M c, M d, M h0, M h1, M h2, M h3);
  }

  default void launch(
      String function, Of4<MemorySegment> call, Object a, Object b, Object c, Object d) {
    launch(
        function,
        (Downcall)
            (stream, t, h) -> call.status(stream, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        new Object[] {a, b, c, d});
  }

  /** A function of 5 pointers. */
  interface Of5<M> {
    int status(long stream, M a, M b, M c, M d, M e, M h0, M h1, M h2, M h3);
  }

  default void launch(
      String function, Of5<MemorySegment> call, Object a, Object b, Object c, Object d, Object e) {
    launch(
        function,
        (Downcall)
            (stream, t, h) ->
                call.status(stream, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        new Object[] {a, b, c, d, e});
  }

  /** A function of 6 pointers. */
  interface Of6<M> {
    int status(long stream, M a, M b, M c, M d, M e, M f, M h0, M h1, M h2, M h3);
  }

  default void launch(
      String function,
      Of6<MemorySegment> call,
      Object a,
      Object b,
      Object c,
      Object d,
      Object e,
      Object f) {
    launch(
        function,
        (Downcall)
            (stream, t, h) ->
                call.status(stream, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        new Object[] {a, b, c, d, e, f});
  }
}

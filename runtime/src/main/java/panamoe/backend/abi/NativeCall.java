package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import panamoe.bindings.Status;
import panamoe.tensor.Tensor;

/**
 * One call of a C function. The arenas of its tensors' descriptors and of callers' memory stay open
 * while it runs, because segments of them are arguments of the downcall.
 */
final class NativeCall implements Runnable {
  private final String function;
  private final NativeLaunch.Downcall call;
  private final long stream;
  private final Object[] arguments;
  private final MemorySegment[] pointers;
  private final MemorySegment[] held;

  /**
   * @param arguments tensors, {@link Struct}s, memory of configs, null pointers
   * @throws IllegalArgumentException if the tensors lie in the memory of too many arenas
   */
  NativeCall(String function, NativeLaunch.Downcall call, long stream, Object[] arguments) {
    this.function = function;
    this.call = call;
    this.stream = stream;
    this.arguments = arguments;
    this.pointers = new MemorySegment[arguments.length];
    this.held = Held.by(function, arguments);
  }

  /**
   * Makes the call, without garbage.
   *
   * @throws IllegalStateException if a tensor or the arena of borrowed memory is closed
   */
  @Override
  public void run() {
    bind();
    Status.check(status(), function);
  }

  private int status() {
    try {
      return call.status(stream, pointers, held);
    } catch (IllegalStateException e) { // which does not say whose arena is closed
      throw new IllegalStateException(function + " was given memory whose arena is closed", e);
    }
  }

  /** Fetches the descriptors anew, which checks that the tensors are alive. */
  void bind() {
    int structs = 0;
    for (int i = 0; i < arguments.length; i++) {
      pointers[i] =
          switch (arguments[i]) {
            case null -> MemorySegment.NULL;
            case Tensor tensor -> tensor.descriptor();
            case Struct struct -> {
              MemorySegment memory = Struct.memory()[structs++];
              struct.write(memory);
              yield memory;
            }
            case MemorySegment config -> config;
            default -> throw new AssertionError(arguments[i].getClass());
          };
    }
  }
}

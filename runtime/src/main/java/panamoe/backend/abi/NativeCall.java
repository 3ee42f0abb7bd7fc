package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import panamoe.bindings.Moe;
import panamoe.bindings.Status;
import panamoe.tensor.Tensor;

/**
 * One call of a C function. The arenas of its tensors' descriptors and of callers' memory stay open
 * while it runs: segments of them are arguments of the downcall.
 */
final class NativeCall implements StreamCall {
  private static final Map<String, MethodHandle> FUNCTIONS = new ConcurrentHashMap<>();

  private final String function;
  private final MethodHandle handle; // takes all parameters in an array
  private final Object[] arguments;
  private final Object[] parameters;

  /**
   * @param arguments of {@link NativeContext#launch}
   * @throws IllegalArgumentException if the tensors lie in the memory of too many arenas
   */
  NativeCall(String function, long stream, Object[] arguments) {
    this.function = function;
    this.handle = FUNCTIONS.computeIfAbsent(function, NativeCall::find);
    this.arguments = arguments;
    MemorySegment[] held = HeldArenas.by(function, arguments);
    this.parameters = new Object[1 + arguments.length + held.length];
    parameters[0] = stream;
    System.arraycopy(held, 0, parameters, 1 + arguments.length, held.length);
  }

  private static MethodHandle find(String function) {
    try {
      Method method =
          Arrays.stream(Moe.class.getMethods())
              .filter(each -> each.getName().equals(function))
              .findFirst()
              .orElseThrow();
      return MethodHandles.lookup()
          .unreflect(method)
          .asSpreader(Object[].class, method.getParameterCount());
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
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
      return (int) handle.invokeExact(parameters);
    } catch (IllegalStateException e) { // its message does not say whose arena is closed
      throw new IllegalStateException(function + " was given memory whose arena is closed", e);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e); // C throws nothing
    }
  }

  /** Fetches the descriptors again, which checks that the tensors are alive. */
  @Override
  public void bind() {
    int structs = 0;
    for (int i = 0; i < arguments.length; i++) {
      parameters[i + 1] =
          switch (arguments[i]) {
            case null -> MemorySegment.NULL;
            case Tensor tensor -> tensor.descriptor();
            case Struct struct -> {
              MemorySegment memory = Struct.memory()[structs++];
              struct.write(memory);
              yield memory;
            }
            case Object same -> same;
          };
    }
  }
}

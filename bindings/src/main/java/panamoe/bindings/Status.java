package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/** Turns the status codes of the C ABI into exceptions. Thread-safe. */
public final class Status {
  private static final Map<Integer, String> NAMES =
      Map.of(
          Moe.MOE_OK(), "MOE_OK",
          Moe.MOE_INVALID_ARGUMENT(), "MOE_INVALID_ARGUMENT",
          Moe.MOE_INVALID_HANDLE(), "MOE_INVALID_HANDLE",
          Moe.MOE_UNSUPPORTED(), "MOE_UNSUPPORTED",
          Moe.MOE_OUT_OF_MEMORY(), "MOE_OUT_OF_MEMORY",
          Moe.MOE_DEVICE_FAILED(), "MOE_DEVICE_FAILED",
          Moe.MOE_INTERNAL(), "MOE_INTERNAL");

  private Status() {}

  /**
   * Returns if the call succeeded. Call it right after the native function on the same thread,
   * because the library keeps the last error message per thread.
   *
   * @param status the function's result
   * @param function its C name, such as {@code "moe_gemm"}
   * @throws IllegalArgumentException with the library's message if an argument was refused
   * @throws OutOfMemoryError with the library's message if the device has no memory left
   * @throws NativeException for any other failure
   */
  public static void check(int status, String function) {
    if (status != Moe.MOE_OK()) {
      fail(status, function);
    }
  }

  private static void fail(int status, String function) {
    String sentence = lastError();
    if (status == Moe.MOE_INVALID_ARGUMENT()) {
      throw new IllegalArgumentException(sentence);
    }
    if (status == Moe.MOE_OUT_OF_MEMORY()) {
      throw new OutOfMemoryError(sentence);
    }
    throw new NativeException(status, function, sentence);
  }

  static String name(int status) {
    return NAMES.getOrDefault(status, "unknown status " + status);
  }

  private static String lastError() {
    long bytes = Moe.moe_last_error(MemorySegment.NULL, 0);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(bytes);
      Moe.moe_last_error(buffer, bytes);
      return buffer.getString(0);
    }
  }
}

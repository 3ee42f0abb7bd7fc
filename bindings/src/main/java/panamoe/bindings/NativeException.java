package panamoe.bindings;

import java.util.Locale;

/**
 * A function of the native library failed for a reason other than a bad argument or lack of memory.
 */
public final class NativeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final String function;
  private final String reason;

  /**
   * @param status the {@code moe_status} returned, not {@code MOE_OK}
   * @param function the C name of the function
   * @param lastError the library's message from {@code moe_last_error}; it starts with the
   *     function's name
   */
  public NativeException(int status, String function, String lastError) {
    super(String.format(Locale.ROOT, "%s (%s)", lastError, Status.name(status)));
    this.status = status;
    this.function = function;
    String name = function + ": ";
    this.reason = lastError.startsWith(name) ? lastError.substring(name.length()) : lastError;
  }

  /** The {@code moe_status} returned, such as {@link Moe#MOE_INVALID_HANDLE()}. */
  public int status() {
    return status;
  }

  /** The library's message without names of the C ABI. */
  public String reason() {
    return reason;
  }

  /** The C name of the function that failed. */
  public String function() {
    return function;
  }
}

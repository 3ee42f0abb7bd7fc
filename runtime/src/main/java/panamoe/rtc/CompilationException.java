package panamoe.rtc;

/**
 * A kernel that NVRTC does not compile: above all an activation with a mistake in its expression.
 */
public final class CompilationException extends RuntimeException {
  private final String log;

  CompilationException(String message, String log) {
    super(message);
    this.log = log;
  }

  /**
   * All that NVRTC said. Lines named {@code activation(n)} and {@code derivative(n)} are those of
   * the expressions.
   */
  public String log() {
    return log;
  }
}

package panamoe.runtimekernel;

/** NVRTC could not compile a kernel, usually because of a mistake in an activation's expression. */
public final class CompilationException extends RuntimeException {
  private final String log;

  CompilationException(String message, String log) {
    super(message);
    this.log = log;
  }

  /**
   * NVRTC's full output. {@code activation(n)} and {@code derivative(n)} are line n of the
   * expressions.
   */
  public String log() {
    return log;
  }
}

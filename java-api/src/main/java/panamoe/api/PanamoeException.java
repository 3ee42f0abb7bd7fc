package panamoe.api;

/**
 * A failure that a caller can act on, with a one-sentence message and a subtype for each kind.
 * Programming errors, such as the use of a closed layer, are {@link IllegalStateException}s.
 * Exhausted device memory or heap is an {@link OutOfMemoryError}, an interrupted load or save is a
 * {@link java.util.concurrent.CancellationException}, and a jar missing on the class path is a
 * {@link NoClassDefFoundError} that names it.
 */
public sealed class PanamoeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  PanamoeException(String message, Throwable cause) {
    super(message, cause);
  }

  /** An invalid argument or setting; the message says what was given and what was expected. */
  public static final class BadArgument extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A failure with its message and cause, which may be null. */
    public BadArgument(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * A model on disk, or its tokenizer, is missing, damaged or inconsistent, or the model is too
   * large for this machine.
   */
  public static final class BadModel extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A failure with its message and cause, which may be null. */
    public BadModel(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * Ranks that hold a layer or a model together cannot continue: one failed, was lost, or made a
   * different call. The message names it. Every rank gets this exception.
   */
  public static final class RanksFailed extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A failure with its message and cause, which may be null. */
    public RanksFailed(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * Values are not finite: a loss, a gate's input, a gradient's norm, or logits. Training diverged,
   * or weights are damaged. The parameters are unchanged.
   */
  public static final class Diverged extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A failure with its message and cause, which may be null. */
    public Diverged(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** The device is not available, or it failed. Every method that computes may throw it. */
  public static final class DeviceFailed extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A failure with its message and cause, which may be null. */
    public DeviceFailed(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * A service has as many unfinished requests as it takes; the request can be tried again later.
   */
  public static final class Busy extends PanamoeException {
    private static final long serialVersionUID = 1;

    /** A refusal with its message. */
    public Busy(String message) {
      super(message, null);
    }
  }
}

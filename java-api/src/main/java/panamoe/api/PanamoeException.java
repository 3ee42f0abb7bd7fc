package panamoe.api;

import java.util.function.Supplier;
import panamoe.io.MissingArtifact;

/**
 * A failure that a caller can act on; the message is one sentence. Its subtypes tell the kinds
 * apart. As everywhere in Java, programming errors (a closed layer used again) are {@link
 * IllegalStateException}s, a device or a heap without memory left is an {@link OutOfMemoryError},
 * and a jar that the class path lacks a {@link NoClassDefFoundError} that names it.
 */
public sealed class PanamoeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  PanamoeException(String message, Throwable cause) {
    super(message, cause);
  }

  /** An argument or a setting that does not fit: what was given, what was expected. */
  public static final class BadArgument extends PanamoeException {
    private static final long serialVersionUID = 1;

    BadArgument(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * A model on disk that is missing, damaged or of another shape, or too large for this machine; or
   * its tokenizer.
   */
  public static final class BadModel extends PanamoeException {
    private static final long serialVersionUID = 1;

    BadModel(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** The device is not there, or failed; of the methods that compute, any may throw it. */
  public static final class DeviceFailed extends PanamoeException {
    private static final long serialVersionUID = 1;

    DeviceFailed(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** Runs {@code body}, with the runtime's exceptions turned into these. */
  static <T> T translating(Supplier<T> body) {
    try {
      return body.get();
    } catch (IllegalArgumentException e) {
      throw new BadArgument(e.getMessage(), e);
    } catch (panamoe.checkpoint.CheckpointException | panamoe.data.DataException e) {
      throw new BadModel(e.getMessage(), e);
    } catch (panamoe.bindings.NativeException | UnsatisfiedLinkError e) {
      throw new DeviceFailed(e.getMessage(), e);
    } catch (LinkageError e) {
      throw MissingArtifact.sentence(e).map(sentence -> missing(sentence, e)).orElse(e);
    }
  }

  private static LinkageError missing(String sentence, LinkageError cause) {
    LinkageError error = new NoClassDefFoundError(sentence);
    error.initCause(cause);
    return error;
  }
}

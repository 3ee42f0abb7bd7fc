package panamoe.checkpoint;

/**
 * A file or checkpoint that cannot be read, written or fitted to a model. The message is one sentence that names the
 * file, the tensor or field, and the offending value.
 */
public final class CheckpointException extends RuntimeException {
  public CheckpointException(String message) {
    super(message);
  }

  public CheckpointException(String message, Throwable cause) {
    super(message, cause);
  }
}

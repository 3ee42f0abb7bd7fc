package panamoe.data;

/**
 * Text or a tokenizer that cannot be used. The message is one sentence that names the file and what
 * is wrong.
 */
public final class DataException extends RuntimeException {
  public DataException(String message) {
    super(message);
  }

  public DataException(String message, Throwable cause) {
    super(message, cause);
  }
}

package panamoe.io;

/**
 * Text or a tokenizer that cannot be used. The message is one sentence that names the file and what
 * is wrong.
 */
public final class DataException extends RuntimeException {
  /**
   * @param pattern of the message, by {@link Words#of}
   */
  public DataException(String pattern, Object... values) {
    super(Words.of(pattern, values));
  }

  public DataException(String message, Throwable cause) {
    super(message, cause);
  }
}

package panamoe.io;

/** Unusable text or tokenizer. The message is one sentence with the file and the error. */
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

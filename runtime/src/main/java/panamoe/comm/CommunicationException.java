package panamoe.comm;

import panamoe.io.Words;

/**
 * A collective failed: the ranks' calls do not match, a rank is lost, or the underlying library
 * failed. The message names the rank.
 */
public class CommunicationException extends RuntimeException {
  /**
   * @param pattern of the message, by {@link Words#of}
   */
  public CommunicationException(String pattern, Object... values) {
    super(Words.of(pattern, values));
  }

  public CommunicationException(String message, Throwable cause) {
    super(message, cause);
  }
}

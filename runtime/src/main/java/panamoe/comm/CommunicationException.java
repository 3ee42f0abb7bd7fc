package panamoe.comm;

/**
 * A collective failed: ranks disagree, a rank is gone, or the library underneath failed. The
 * message names the rank.
 */
public class CommunicationException extends RuntimeException {
  public CommunicationException(String message) {
    super(message);
  }

  public CommunicationException(String message, Throwable cause) {
    super(message, cause);
  }
}

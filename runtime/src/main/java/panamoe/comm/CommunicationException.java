package panamoe.comm;

/**
 * A collective could not be done: ranks disagree, one is gone, or the library underneath failed.
 * Says which rank.
 */
public final class CommunicationException extends RuntimeException {
  public CommunicationException(String message) {
    super(message);
  }

  public CommunicationException(String message, Throwable cause) {
    super(message, cause);
  }
}

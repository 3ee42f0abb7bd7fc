package panamoe.comm.message;

import panamoe.comm.CommunicationException;

/**
 * A message cannot be sent or received. The exception's text is a clause; the caller adds the rank.
 */
public final class MessageException extends CommunicationException {
  public MessageException(String clause) {
    super(clause);
  }
}

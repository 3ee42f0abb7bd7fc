package panamoe.comm.message;

import panamoe.comm.CommunicationException;

/** A message cannot be sent or received. The message is a clause without the rank that says it. */
public final class MessageException extends CommunicationException {
  public MessageException(String clause) {
    super(clause);
  }
}

package panamoe.djl;

import ai.djl.ndarray.NDList;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import panamoe.api.Device;
import panamoe.text.TextSession;
import panamoe.text.Token;

/** The pieces of a completion, then its {@link panamoe.text.GenerationResult}. */
final class TextPieces implements Iterator<NDList>, AutoCloseable {
  private final Device device;
  private final TextSession session;
  private Object next; // a string or the result; null if not known yet
  private boolean over;

  TextPieces(Device device, TextSession session) {
    this.device = device;
    this.session = session;
  }

  @Override
  public boolean hasNext() {
    if (next == null && !over) {
      next = alone(this::write);
    }
    return next != null;
  }

  @Override
  public NDList next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the completion has ended");
    }
    Object given = next;
    next = null;
    return TextBlock.list(given);
  }

  private Object write() {
    Optional<Token> token = session.next();
    while (token.isPresent() && token.get().text().isEmpty()) {
      token = session.next();
    }
    if (token.isPresent()) {
      return token.get().text();
    }
    Object result = session.result();
    over = true;
    session.close();
    return result;
  }

  Stream<NDList> stream() {
    return StreamSupport.stream(
        Spliterators.spliteratorUnknownSize(this, Spliterator.NONNULL), false);
  }

  /** Cancels the completion if it has not ended. */
  @Override
  public void close() {
    over = true;
    alone(
        () -> {
          session.close();
          return null;
        });
  }

  private <T> T alone(Supplier<T> call) {
    synchronized (device) {
      return Failures.translating(call);
    }
  }
}

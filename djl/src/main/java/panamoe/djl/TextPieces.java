package panamoe.djl;

import ai.djl.ndarray.NDList;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import panamoe.text.TextCompletion;
import panamoe.text.TextPiece;

/** The pieces of a completion, then its {@link panamoe.text.GenerationResult}. */
final class TextPieces implements Iterator<NDList>, AutoCloseable {
  private final TextCompletion completion;
  private Object next; // a string or the result; null if not known yet
  private boolean over;

  TextPieces(TextCompletion completion) {
    this.completion = completion;
  }

  @Override
  public boolean hasNext() {
    if (next == null && !over) {
      next = Failures.translating(this::read);
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

  private Object read() {
    Optional<TextPiece> piece = completion.next();
    while (piece.isPresent() && piece.get().content().isEmpty()) {
      piece = completion.next();
    }
    if (piece.isPresent()) {
      return piece.get().content();
    }
    over = true;
    return completion.join();
  }

  Stream<NDList> stream() {
    return StreamSupport.stream(
        Spliterators.spliteratorUnknownSize(this, Spliterator.NONNULL), false);
  }

  /** Cancels the completion if it has not ended. */
  @Override
  public void close() {
    over = true;
    completion.cancel();
  }
}

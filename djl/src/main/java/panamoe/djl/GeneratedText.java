package panamoe.djl;

import ai.djl.ndarray.NDList;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import panamoe.text.GenerationResult;

/**
 * A completion: its pieces, each generated on request, and its result. After {@code predict} it is
 * complete, and only the result is left. Used by one thread at a time.
 */
public final class GeneratedText implements Iterator<String>, AutoCloseable {
  private final Stream<NDList> source;
  private final Iterator<NDList> pieces;
  private String next;
  private GenerationResult result; // null until the completion has ended

  GeneratedText(Stream<NDList> source) {
    this.source = source;
    this.pieces = source.iterator();
  }

  /**
   * Generates until there is a piece, or the completion ends.
   *
   * @throws ai.djl.engine.EngineException if the device fails
   * @throws IllegalStateException if the completion or its model is closed
   */
  @Override
  public boolean hasNext() {
    if (next == null && result == null && pieces.hasNext()) {
      Object content = TextBlock.content(pieces.next());
      if (content instanceof GenerationResult whole) {
        result = whole;
      } else {
        next = (String) content;
      }
    }
    return next != null;
  }

  /** The next piece; throws like {@link #hasNext}. */
  @Override
  public String next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the completion has ended");
    }
    String piece = next;
    next = null;
    return piece;
  }

  /** The whole completion, after generating the rest; throws like {@link #hasNext}. */
  public GenerationResult result() {
    while (hasNext()) {
      next();
    }
    if (result == null) {
      throw new IllegalStateException("the completion was closed before it ended");
    }
    return result;
  }

  /** Cancels the rest. Idempotent. */
  @Override
  public void close() {
    source.close();
  }
}

package panamoe.djl;

import ai.djl.ndarray.NDList;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.stream.Stream;
import panamoe.text.GenerationResult;

/**
 * A text that a model writes: its pieces, each computed when it is asked for, and its result. After
 * {@code predict} it is written already, and there is only the result. Used by one thread at a
 * time.
 */
public final class GeneratedText implements Iterator<String>, AutoCloseable {
  private final Stream<NDList> source;
  private final Iterator<NDList> pieces;
  private String next;
  private GenerationResult result; // null until the text has ended

  GeneratedText(Stream<NDList> source) {
    this.source = source;
    this.pieces = source.iterator();
  }

  /**
   * Writes until there is a piece, or the text ends.
   *
   * @throws ai.djl.engine.EngineException if the device fails
   * @throws IllegalStateException if the text or its model is closed
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

  /** The next piece of the text; throws like {@link #hasNext}. */
  @Override
  public String next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the text has ended");
    }
    String piece = next;
    next = null;
    return piece;
  }

  /**
   * The whole text, why it ended, its tokens and its times. Writes what is not written yet; throws
   * like {@link #hasNext}.
   */
  public GenerationResult result() {
    while (hasNext()) {
      next();
    }
    if (result == null) {
      throw new IllegalStateException("the text was closed before it ended");
    }
    return result;
  }

  /** Ends the text where it is. Idempotent. */
  @Override
  public void close() {
    source.close();
  }
}

package panamoe.engine;

/** Remembers how a text ended. Used by the thread that drives the engine. */
public class GenerationOutcome implements GenerationListener {
  private Generation generation;
  private RuntimeException failure;

  @Override
  public final void ended(Generation whole) {
    generation = whole;
  }

  @Override
  public final void failed(RuntimeException cause) {
    failure = cause;
  }

  /** Whether the text has ended or failed. */
  public final boolean over() {
    return generation != null || failure != null;
  }

  /**
   * The text.
   *
   * @throws IllegalStateException if it is not over
   * @throws RuntimeException why it failed
   */
  public final Generation generation() {
    if (failure != null) {
      throw failure;
    }
    if (generation == null) {
      throw new IllegalStateException("the text has not ended");
    }
    return generation;
  }
}

package panamoe.engine;

/** Keeps the result of a sequence. Used by the thread that drives the engine. */
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

  /** Whether the sequence has ended or failed. */
  public final boolean over() {
    return generation != null || failure != null;
  }

  /**
   * The completion.
   *
   * @throws IllegalStateException if the sequence is not over
   * @throws RuntimeException the sequence's failure
   */
  public final Generation generation() {
    if (failure != null) {
      throw failure;
    }
    if (generation == null) {
      throw new IllegalStateException("the completion has not ended");
    }
    return generation;
  }
}

package panamoe.op;

/** A model's numbers are NaN or infinite, because training diverged or its weights are damaged. */
public final class NotFinite extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  /**
   * @param where the rest of the sentence
   */
  public NotFinite(String where) {
    this(where, null);
  }

  /**
   * @param cause why a gate refused them, or null
   */
  public NotFinite(String where, Throwable cause) {
    super(
        "the model gives numbers that are not finite"
            + where
            + "; its weights are damaged, or training diverged",
        cause);
  }

  /** The sentence of a gate about its logits. */
  NotFinite(IllegalArgumentException refusal) {
    super(refusal.getMessage(), refusal);
  }
}

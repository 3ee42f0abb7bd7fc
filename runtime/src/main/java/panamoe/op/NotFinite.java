package panamoe.op;

/** A model's numbers are NaN or infinite, because training diverged or its weights are damaged. */
public final class NotFinite extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  /**
   * @param where as the sentence goes on
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

  /** What a gate says of its logits. */
  NotFinite(IllegalArgumentException refusal) {
    super(refusal.getMessage(), refusal);
  }
}

package panamoe.model;

/** A model computes NaN or infinities: its weights are damaged, or training diverged. */
public final class NotFinite extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  /**
   * @param where as the sentence goes on
   */
  public NotFinite(String where) {
    this(where, null);
  }

  /**
   * @param cause why a layer refused them, or null
   */
  public NotFinite(String where, Throwable cause) {
    super(
        "the model gives numbers that are not finite"
            + where
            + "; its weights are damaged, or training diverged",
        cause);
  }
}

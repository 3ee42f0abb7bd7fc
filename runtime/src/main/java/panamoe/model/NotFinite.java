package panamoe.model;

/** A model computes NaN or infinities: its weights are damaged, or training diverged. */
public final class NotFinite extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  /**
   * @param where as the sentence goes on
   */
  public NotFinite(String where) {
    super(
        "the model gives numbers that are not finite"
            + where
            + "; its weights are damaged, or training diverged");
  }
}

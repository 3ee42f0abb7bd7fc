package panamoe.model;

/** A model computes NaN or infinities: its weights are damaged, or training diverged. */
public final class NotFinite extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  NotFinite(String message) {
    super(message);
  }
}

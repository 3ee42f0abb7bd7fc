package panamoe.lab.conformance.replay;

/** A recorded rule that no configuration can say: the case is skipped, with the reason. */
public final class NotDescribed extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * @param rule the peer's rule
   * @param key of a configuration that would say it
   */
  public NotDescribed(String rule, String key) {
    super("no configuration says " + rule + "; a key " + key + " would");
  }
}

package panamoe.lab.conformance.replay;

/** A recorded rule that no configuration can express; the case is skipped with this reason. */
public final class UnsupportedRule extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * @param rule the peer's rule
   * @param key that would express it
   */
  public UnsupportedRule(String rule, String key) {
    super("no configuration says " + rule + "; a key " + key + " would");
  }
}

package panamoe.lab.conformance.replay;

/** Replays the recorded cases of one kind, named by {@code op} in their metadata. */
@FunctionalInterface
public interface CaseKind {
  /**
   * Runs the case's inputs through the runtime and compares what comes out with what was recorded.
   */
  void replay(Replay replay);
}

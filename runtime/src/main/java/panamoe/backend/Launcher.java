package panamoe.backend;

/**
 * Where a backend's kernel calls pass through: each runs at once, and is kept while {@link #record} is under way.
 *
 * <p>A backend holds one launcher. Used by one thread at a time, as the backend itself.
 */
public final class Launcher {
  private Recording recording;

  /** Runs {@code call}; a recording under way keeps it if it succeeds. */
  public void launch(Runnable call) {
    call.run();
    if (recording != null) {
      recording.append(call);
    }
  }

  /**
   * Runs {@code step} and returns the calls launched by it.
   *
   * @throws IllegalStateException if a recording is under way already
   */
  public Recording record(Runnable step) {
    if (recording != null) {
      throw new IllegalStateException("a recording is under way; record() cannot be nested");
    }
    recording = new Recording();
    try {
      step.run();
      return recording;
    } finally {
      recording = null;
    }
  }
}

package panamoe.backend;

import java.util.ArrayList;
import java.util.List;

/**
 * Where a backend's kernel calls pass through: each runs at once, and is kept while {@link #record}
 * is under way.
 *
 * <p>A backend holds one launcher. Used by one thread at a time, as the backend itself.
 */
public final class GraphCapture<Call extends Runnable> {
  private Calls<Call> recording;

  /** The calls of a recording. */
  public static final class Calls<Call extends Runnable> implements KernelGraph {
    private final List<Call> calls = new ArrayList<>();

    public List<Call> list() {
      return calls;
    }

    /** Makes the calls one by one; makes no garbage. */
    @Override
    public void replay() {
      for (int i = 0; i < calls.size(); i++) {
        calls.get(i).run();
      }
    }

    @Override
    public int size() {
      return calls.size();
    }
  }

  /** Runs {@code call}; a recording under way keeps it if it succeeds. */
  public void launch(Call call) {
    call.run();
    if (recording != null) {
      recording.calls.add(call);
    }
  }

  /**
   * Runs {@code step} and returns the calls launched by it.
   *
   * @throws IllegalStateException if a recording is under way already
   */
  public Calls<Call> record(Runnable step) {
    if (recording != null) {
      throw new IllegalStateException("a recording is under way; record() cannot be nested");
    }
    recording = new Calls<>();
    try {
      step.run();
      return recording;
    } finally {
      recording = null;
    }
  }
}

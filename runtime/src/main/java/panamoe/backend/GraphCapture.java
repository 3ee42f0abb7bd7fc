package panamoe.backend;

import java.util.ArrayList;
import java.util.List;

/**
 * Runs a backend's kernel calls, and keeps those that are made within {@link #capture}, like the
 * capture of a CUDA stream.
 *
 * <p>A backend has one. Used by one thread at a time.
 *
 * @param <C> a kernel call, which can be made again
 */
public final class GraphCapture<C extends Runnable> {
  private CallList<C> graph; // under capture, or null

  /** Captured calls, replayed one by one. */
  public static final class CallList<C extends Runnable> implements KernelGraph {
    private final List<C> calls = new ArrayList<>();

    public List<C> calls() {
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

  /** Runs {@code call}; a capture keeps it if it succeeds, but not the calls that it launches. */
  public void launch(C call) {
    CallList<C> within = graph;
    graph = null;
    try {
      call.run();
    } finally {
      graph = within;
    }
    if (within != null) {
      within.calls.add(call);
    }
  }

  /**
   * Runs {@code step} and returns the calls launched by it.
   *
   * @throws IllegalStateException within another capture
   */
  public CallList<C> capture(Runnable step) {
    if (graph != null) {
      throw new IllegalStateException("kernel calls are captured already; captures cannot nest");
    }
    graph = new CallList<>();
    try {
      step.run();
      return graph;
    } finally {
      graph = null;
    }
  }
}

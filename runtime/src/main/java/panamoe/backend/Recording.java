package panamoe.backend;

import java.util.ArrayList;
import java.util.List;

/** Kernel calls with their tensors, bound once and replayed as they are: the CPU's counterpart of a CUDA graph. */
public final class Recording {
  private final List<Runnable> calls = new ArrayList<>();

  void append(Runnable call) {
    calls.add(call);
  }

  /**
   * Makes the recorded calls in order.
   *
   * @throws IllegalStateException at the first call on a tensor that was freed since
   */
  public void replay() {
    for (int i = 0; i < calls.size(); i++) {
      calls.get(i).run();
    }
  }

  public int size() {
    return calls.size();
  }
}

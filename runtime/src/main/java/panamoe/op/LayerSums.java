package panamoe.op;

import java.lang.foreign.ValueLayout;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.tensor.HostView;
import panamoe.tensor.TensorScope;

/**
 * Sums over the choices of several layers' gates in one pass, for a loss that takes their tokens as
 * one batch. Complete when the forward has ended. Used by one thread.
 */
final class LayerSums {
  private long used;
  private long[] chosen;
  private boolean closed;

  /** Adds a layer's sums over the batch, unless this is {@link #close}d. */
  void add(Sums layer) {
    if (closed) {
      return;
    }
    HostView view = HostView.of(layer.chosen());
    view.read();
    if (chosen == null) {
      chosen = new long[Math.toIntExact(layer.chosen().count())];
    }
    for (int expert = 0; expert < chosen.length; expert++) {
      chosen[expert] += view.memory().getAtIndex(ValueLayout.JAVA_INT, expert);
    }
    used += layer.used().getInt(0);
  }

  /** From now on layers are recomputed, and not added. */
  void close() {
    closed = true;
  }

  /** The sums for the kernel of the gradient, which reads no scores. */
  Sums all(TensorScope scope) {
    Sums all = Sums.allocate(scope, 1, chosen.length);
    HostView view = HostView.of(all.chosen());
    for (int expert = 0; expert < chosen.length; expert++) {
      int count = Math.toIntExact(chosen[expert]);
      view.memory().setAtIndex(ValueLayout.JAVA_INT, expert, count);
    }
    view.write();
    all.used().setInt(0, Math.toIntExact(used));
    return all;
  }
}

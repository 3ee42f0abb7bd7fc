package panamoe.api;

import java.util.function.Supplier;
import panamoe.api.internal.Lifetime;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.tensor.TensorScope;

/**
 * A forward of a {@link MoeLayer} on the same memory, to be repeated: its kernel calls and its
 * activations are kept, so {@link #run} makes no garbage. It reads the parameters as they are at
 * each run. One thread at a time may call it, like everything on a device.
 *
 * {@snippet file="panamoe/api/MoeLayerExample.java" region="prepared"}
 */
public final class PreparedForward implements AutoCloseable {
  private final MoeLayer layer;
  private final MoeLayer.Rows rows;
  private final CallersMemory memory;
  private final MoeLayer.Computed computed;
  private final KernelGraph graph;
  private final Lifetime life;
  // Made once, because making them at each run would be garbage.
  private final Runnable replay;
  private final Supplier<Void> call = this::call;

  /** Called inside a call of the device. */
  PreparedForward(MoeLayer layer, MoeLayer.Rows rows) {
    this.layer = layer;
    this.rows = rows;
    Backend backend = layer.device().backend();
    TensorScope scope = TensorScope.shared(backend);
    this.memory = new CallersMemory(backend, scope);
    MoeLayer.Computed[] first = new MoeLayer.Computed[1];
    try {
      Pass pass = Pass.inference(backend, scope);
      this.graph = backend.capture(() -> first[0] = layer.compute(pass, memory, rows));
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
    this.computed = first[0];
    this.replay = this::replay;
    this.life =
        layer
            .lifetime()
            .begin(
                "the prepared forward",
                () -> {
                  graph.close();
                  scope.close();
                });
  }

  /**
   * Computes y from what x holds now; the same bits as {@link MoeLayer#forward}.
   *
   * @throws PanamoeException.Diverged if a gate's input is not finite because x or the weights are
   *     not
   * @throws IllegalStateException if this or its layer is closed, the arena of x or y is, or the
   *     device is in use by another thread
   */
  public void run() {
    life.use(call);
  }

  private void replay() {
    try {
      graph.replay();
    } catch (IllegalArgumentException e) { // of a gate's logits: everything else was checked
      throw new NotFinite(" (" + e.getMessage() + ")", e);
    }
  }

  private Void call() {
    CallersMemory.requireAlive("x", rows.x());
    CallersMemory.requireAlive("y", rows.y());
    memory.take("x", computed.input(), rows.x());
    layer.replay(memory, replay);
    memory.giveBack("y", computed.output(), rows.y());
    return null;
  }

  /** Frees the activations. Idempotent; throws like {@link MoeLayer#close}. */
  @Override
  public void close() {
    life.close();
  }
}

package panamoe.lab.bench;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** One MoE layer in training: forward, and backward with FLOAT32 weight gradients. */
final class LayerTrainingBench extends RandomBench {
  private final ParameterStore store = store();
  private final MoeLayer layer;

  LayerTrainingBench(Backend backend, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    this.layer = shape.layer(store, 0);
    store.materialize(backend, dtype, true, seed);
  }

  @Override
  public Workload over(int tokens) {
    return new ForwardBackward(tokens);
  }

  private final class ForwardBackward implements Workload {
    private final TensorScope inputs = TensorScope.confined(backend);
    private final int tokens;
    private final List<Tensor> x;
    private final List<Tensor> dy;
    private int expertsHit;

    ForwardBackward(int tokens) {
      this.tokens = tokens;
      this.x = TokenBatches.normal(backend, inputs, dtype, tokens, shape.hidden(), seed);
      this.dy = TokenBatches.normal(backend, inputs, dtype, tokens, shape.hidden(), seed + 1);
      run(0);
    }

    @Override
    public void run(int call) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tape tape = new Tape(backend);
        store.forgetGradients();
        store.watch(tape);
        Pass pass =
            Pass.training(backend, scope, tape, seed, 1)
                .observedBy((index, routes) -> expertsHit = TokenBatches.hit(routes.offsets()));
        Tensor y = pass.allocate(dtype, tokens, shape.hidden());
        layer.forwardInto(pass, x.get(call % x.size()), null, y);
        // The tape takes ownership of the gradient.
        Tensor gradient = pass.allocate(dtype, y.shape());
        backend.copy(dy.get(call % dy.size()), gradient);
        tape.addGradient(y, gradient);
        tape.backward();
        store.completeGradients();
        backend.synchronize();
      }
    }

    @Override
    public Cost cost() {
      return layer.cost(Work.training(1, tokens, dtype), expertsHit);
    }

    @Override
    public void close() {
      inputs.close();
    }
  }
}

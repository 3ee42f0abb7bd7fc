package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * MoE layers for inference. The kernel calls of each batch are captured once and replayed, like a
 * decode step.
 */
final class LayerBench extends RandomBench {
  static final float DEVIATION = 0.02f;

  private final List<MoeLayer> layers = new ArrayList<>();

  LayerBench(Backend backend, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    for (int copy = 0; copy < shape.copies(); copy++) {
      ParameterStore store = store();
      layers.add(shape.layer(store, copy));
      store.materialize(backend, dtype, false, seed + copy);
      store.pack(backend, dtype);
    }
  }

  @Override
  public Workload over(int tokens) {
    return new Forward(tokens);
  }

  private final class Forward extends CapturedCalls {
    private final int tokens;
    private double expertsHit;

    Forward(int tokens) {
      super(backend);
      this.tokens = tokens;
      List<Tensor> batches =
          TokenBatches.normal(backend, scope, dtype, tokens, shape.hidden(), seed);
      // Both batch and layer change with every call.
      int count = Math.max(batches.size(), layers.size());
      for (int i = 0; i < count; i++) {
        Tensor x = batches.get(i % batches.size());
        MoeLayer layer = layers.get(i % layers.size());
        Pass pass =
            Pass.inference(backend, scope)
                .observedBy(
                    (index, routes) ->
                        expertsHit += TokenBatches.hit(routes.offsets()) / (double) count);
        Tensor y = scope.allocate(dtype, x.shape());
        capture(() -> layer.forwardInto(pass, x, null, y));
      }
    }

    @Override
    public Cost cost() {
      return layers.getFirst().cost(Work.prefill(tokens, dtype), expertsHit);
    }
  }
}

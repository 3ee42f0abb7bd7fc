package panamoe.lab.bench;

import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.AdapterConfig;
import panamoe.model.ModelTensors;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.param.Adapters;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One MoE layer in training: forward, and backward with FLOAT32 gradients, of its weights or of
 * adapters of its experts, which are held in 4 bits.
 */
final class LayerTrainingBench extends RandomBench {
  private static final int RANK = 16;
  private static final DType HELD = DType.Q4_0;

  private final boolean adapted;
  private final ParameterStore store = store();
  private final MoeLayer layer;

  LayerTrainingBench(Backend backend, BenchKind kind, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    this.adapted = kind == BenchKind.ADAPTER_TRAINING;
    this.layer = shape.layer(store, 0);
    if (adapted) {
      Adapters.declare(store, AdapterConfig.of(RANK, List.of("experts")));
      store.adapt(backend, new WeightTypes(dtype, HELD).withExact(true), seed);
      drawWeights();
    } else {
      store.materialize(backend, dtype, true, seed);
    }
  }

  private void drawWeights() {
    RandomWeights random = new RandomWeights(seed);
    Map<String, LoadTarget> weights = ModelTensors.destinations(store, backend);
    weights.keySet().removeIf(Adapters::isFactor);
    weights.forEach(
        (name, to) -> {
          try (TensorScope scope = TensorScope.confined(backend)) {
            Tensor target = to.target();
            DType held = target.dtype();
            Tensor bytes = scope.allocate(DType.UINT8, held.bytes(target.count()));
            long at = 0;
            for (var part : random.parts(name, held, LayerBench.DEVIATION, target.shape())) {
              bytes.copyFrom(at, part);
              at += part.byteSize();
            }
            backend.pack(bytes.part(0, held, target.shape()), target);
            backend.synchronize();
          }
        });
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
    private final Tensor offsets; // of the last call's rows by expert

    ForwardBackward(int tokens) {
      this.tokens = tokens;
      this.offsets = inputs.allocate(DType.INT32, shape.experts() + 1);
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
                .observedBy((index, routes) -> offsets.set(routes.offsets().toInts()));
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
      Cost all = layer.cost(Work.training(1, tokens, dtype), TokenBatches.hit(offsets));
      if (!adapted) {
        return all;
      }
      long gradients = store.trained().stream().mapToLong(Parameter::count).sum();
      return new Cost(
          all.flops() - productFlops(), // these matrices have no gradient
          all.weights(),
          all.experts(),
          0,
          gradients * DType.FLOAT32.bytes(),
          0,
          0);
    }

    /** Operations of the frozen matrices in a forward: the experts' and the router's. */
    private double productFlops() {
      double router = (double) shape.hidden() * shape.experts();
      return 2 * tokens * (shape.topK() * shape.expertBytes(DType.UINT8) + router);
    }

    /** The kernels that adapters cannot do without: the experts' products, and their gradients. */
    @Override
    public Beside beside() {
      if (!adapted) {
        return null;
      }
      Tensor up = layer.expertMatrices().getFirst().value();
      Tensor down = layer.expertMatrices().getLast().value();
      long rows = (long) tokens * shape.topK();
      Tensor outer = inputs.zeros(dtype, rows, shape.hidden());
      Tensor inner = inputs.zeros(dtype, rows, shape.expertHidden());
      Tensor preactivation = inputs.zeros(dtype, rows, up.size(1));
      return new Beside(
          "products",
          Contender.of(
              _ -> {
                backend.expertForward(
                    outer, offsets, up, inner, GemmKernels.Epilogue.of(shape.activation()));
                backend.expertForward(inner, offsets, down, outer, GemmKernels.Epilogue.NONE);
                backend.expertBackwardInput(outer, offsets, down, inner);
                backend.expertBackwardInput(preactivation, offsets, up, outer);
                backend.synchronize();
              }));
    }

    @Override
    public void close() {
      inputs.close();
    }
  }
}

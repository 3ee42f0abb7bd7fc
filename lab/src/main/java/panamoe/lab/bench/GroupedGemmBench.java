package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.GemmKernels;
import panamoe.backend.Routes;
import panamoe.moe.Gate;
import panamoe.nn.Cost;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The grouped GEMM of the experts' first matrix, with rows distributed by a gate: forward, dgrad or
 * wgrad.
 */
final class GroupedGemmBench extends RandomBench {
  private final BenchKind kind;
  private final long outputs;
  private final Gate gate;
  private final List<Parameter> weights = new ArrayList<>();

  GroupedGemmBench(Backend backend, BenchKind kind, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    this.kind = kind;
    this.outputs = (long) shape.expertHidden() * shape.activation().inputsPerOutput();
    ParameterStore gateStore = store();
    this.gate = shape.gate(gateStore);
    gateStore.materialize(backend, dtype, false, seed);
    boolean forward = kind == BenchKind.GROUPED_GEMM;
    for (int copy = 0; copy < (forward ? shape.copies() : 1); copy++) {
      ParameterStore store = store();
      weights.add(
          Declarations.of(store, LayerBench.DEVIATION, "up")
              .expertMatrix(
                  store.ranks().experts(shape.experts()), Slice.WHOLE, outputs, shape.hidden()));
      store.materialize(backend, dtype, !forward, seed + copy);
      if (forward) {
        store.pack(backend, dtype);
      }
    }
  }

  @Override
  public Workload over(int tokens) {
    return new GroupedGemm(tokens);
  }

  private final class GroupedGemm extends CapturedCalls {
    private final long rows;
    private final Tensor x;
    private final Tensor y;
    private final Tensor preactivation;
    private double expertsHit;

    GroupedGemm(int tokens) {
      super(backend);
      List<Tensor> offsets = new ArrayList<>();
      this.rows = (long) tokens * shape.topK();
      this.x = TokenBatches.drawn(backend, scope, dtype, seed, 0, rows, shape.hidden());
      this.y = scope.allocate(dtype, rows, shape.expertHidden());
      this.preactivation = TokenBatches.drawn(backend, scope, dtype, seed, 0, rows, outputs);
      Pass pass = Pass.inference(backend, scope);
      List<Tensor> batches =
          TokenBatches.normal(backend, scope, dtype, tokens, shape.hidden(), seed);
      for (Tensor batch : batches) {
        Routes routes = gate.forward(pass, batch, null, batch.size(0));
        backend.synchronize();
        offsets.add(routes.offsets());
        expertsHit += TokenBatches.hit(routes.offsets()) / (double) batches.size();
      }
      // Groups and weights change with every call.
      for (int i = 0; i < Math.max(offsets.size(), weights.size()); i++) {
        Tensor groups = offsets.get(i % offsets.size());
        Parameter weight = weights.get(i % weights.size());
        capture(() -> multiply(groups, weight));
      }
    }

    private void multiply(Tensor groups, Parameter weight) {
      switch (kind) {
        case GROUPED_GEMM ->
            backend.expertForward(
                x, groups, weight.value(), y, GemmKernels.Epilogue.of(shape.activation()));
        case GROUPED_GEMM_DGRAD ->
            backend.expertBackwardInput(preactivation, groups, weight.value(), x);
        default ->
            backend.expertBackwardWeights(true, preactivation, x, groups, weight.gradient(), null);
      }
    }

    /**
     * Counts the matrices of experts with rows; for wgrad, their FLOAT32 gradients, read and
     * written.
     */
    @Override
    public Cost cost() {
      double matrix = (double) shape.hidden() * outputs;
      double gradients = expertsHit * matrix * DType.FLOAT32.bytes();
      return kind == BenchKind.GROUPED_GEMM_WGRAD
          ? new Cost(2 * rows * matrix, gradients, gradients, 0, 0)
          : new Cost(2 * rows * matrix, expertsHit * matrix * dtype.bytes(), 0, 0, 0);
    }
  }
}

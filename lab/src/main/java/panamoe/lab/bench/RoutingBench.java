package panamoe.lab.bench;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.CombineKernels;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.moe.Gate;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.Pass;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** A layer's gate, dispatch or combine, or the balance of its experts' loads. */
final class RoutingBench extends RandomBench {
  private final BenchKind kind;
  private final Gate gate;

  RoutingBench(Backend backend, BenchKind kind, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    this.kind = kind;
    ParameterStore store = store();
    this.gate = shape.gate(store);
    store.materialize(backend, dtype, false, seed);
    store.pack(backend, dtype);
  }

  @Override
  public Workload over(int tokens) {
    return new Routing(tokens);
  }

  private final class Routing extends CapturedCalls {
    private final Pass pass = Pass.inference(backend, scope);
    private final int tokens;

    Routing(int tokens) {
      super(backend);
      this.tokens = tokens;
      List<Tensor> batches =
          TokenBatches.normal(backend, scope, dtype, tokens, shape.hidden(), seed);
      for (Tensor x : batches) {
        switch (kind) {
          case GATE -> capture(() -> gate.forward(pass, x, null, x.size(0)));
          case DISPATCH -> {
            Routes routes = gate.forward(pass, x, null, x.size(0));
            capture(() -> DispatchOp.forward(pass, x, routes));
          }
          case COMBINE -> {
            Routes routes = gate.forward(pass, x, null, x.size(0));
            Tensor rows = DispatchOp.forward(pass, x, routes);
            capture(() -> CombineOp.forward(pass, CombineKernels.Inputs.of(rows, null), routes));
          }
          case BALANCE -> recordBalance(gate.forward(pass, x, null, x.size(0)));
          default -> throw new IllegalArgumentException(kind + " is not a part of routing");
        }
      }
    }

    private void recordBalance(Routes routes) {
      Balance balance = new Balance(Score.SOFTMAX, 1, false);
      Sums sums = Sums.allocate(scope, 1, shape.experts());
      Tensor dlogits = scope.allocate(DType.FLOAT32, tokens, shape.experts());
      capture(
          () -> {
            backend.balanceForward(balance, routes.scores(), routes.choice(), sums);
            backend.balanceBackward(balance, 1, routes.scores(), sums, dlogits);
          });
    }

    /**
     * The gate reads tokens and weights; dispatch reads each token once and writes its rows;
     * combine reads the rows and writes each token once; balance reads scores twice and writes
     * their gradient.
     */
    @Override
    public Cost cost() {
      double width = (double) tokens * shape.hidden();
      double x = width * dtype.bytes();
      double rows = x * shape.topK();
      double scores = 4.0 * tokens * shape.experts();
      return switch (kind) {
        case GATE -> gate.cost(Work.prefill(tokens, dtype)).then(new Cost(0, x, 0, 0, 0));
        case DISPATCH -> new Cost(0, x, rows, 0, 0);
        case BALANCE -> new Cost(scores, 2 * scores, scores, 0, 0); // an addition, a product of 3
        default -> new Cost(2 * width * shape.topK(), rows, x, 0, 0);
      };
    }
  }
}

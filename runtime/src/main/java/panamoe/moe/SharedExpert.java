package panamoe.moe;

import panamoe.backend.CombineKernels;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.Routes;
import panamoe.config.DenseConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Mlp;
import panamoe.nn.Norm;
import panamoe.nn.Work;
import panamoe.op.AddOp;
import panamoe.op.CombineOp;
import panamoe.op.GateOp;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.param.Declarations;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * An MLP that every token passes in addition to its routed experts (DeepSeek-MoE, arXiv 2401.06066
 * §3.2). If gated, the sigmoid of a learned logit scales its output (Qwen2-MoE).
 */
final class SharedExpert {
  // A gate over one expert, whose weight is the sigmoid of the logit.
  private static final GateSettings SIGMOID = GateSettings.dropless(1, GateSettings.Score.SIGMOID);

  private final Mlp mlp;
  private final Linear gate;
  private final Norm norm; // null without a branchNorm, as the next
  private final Norm outputNorm;

  /**
   * Declares the MLP and, if gated, {@code gate} [1, M], and {@code norm} and {@code output_norm}
   * of a branchNorm.
   */
  SharedExpert(Declarations at, int hidden, MoeConfig config) {
    MoeConfig.SharedExpert shared = config.shared();
    this.mlp =
        new Mlp(at, hidden, new DenseConfig(shared.inner(), config.activation(), config.bias()));
    this.gate =
        shared.gated()
            ? Linear.whole(at.in("gate"), Parameter.Part.ROUTER, hidden, 1, false)
            : null;
    NormConfig branch = config.branchNorm();
    this.norm = branch == null ? null : new Norm(at.in("norm"), branch, hidden);
    this.outputNorm = branch == null ? null : new Norm(at.in("output_norm"), branch, hidden);
  }

  /**
   * Its output, added to a skip connection.
   *
   * @param x [S, M]
   * @param skip [S, M] or null
   * @return [S, M]
   */
  Tensor forward(Pass pass, Tensor x, Tensor skip) {
    Tensor output =
        norm == null
            ? mlp.forward(pass, x)
            : outputNorm.forward(pass, mlp.forward(pass, norm.forward(pass, x)));
    if (gate == null) {
      return skip == null ? output : AddOp.forward(pass, skip, output);
    }
    Tensor logits = gate.forwardFloat32(pass, x);
    // Without an observer: this gate chooses nothing.
    Pass unobserved = pass.observedBy(RouteObserver.NONE);
    Routes routes = GateOp.forward(unobserved, SIGMOID, GateKernels.Inputs.of(logits), 0, 0);
    return CombineOp.forward(pass, CombineKernels.Inputs.of(output, skip), routes);
  }

  /**
   * The cost of {@link #forward} with M columns.
   *
   * @param skip whether it is added to a skip connection
   */
  Cost cost(Work work, int hidden, boolean skip) {
    Cost cost = mlp.cost(work);
    if (norm != null) {
      cost = norm.cost(work).then(cost).then(outputNorm.cost(work));
    }
    if (gate == null) {
      return skip ? cost.then(Cost.sum(work, hidden)) : cost;
    }
    return cost.then(Cost.sum(work, hidden))
        .then(gate.costFloat32(work))
        .then(Cost.activations(work, Routes.bytes(work.tokens(), 1, 1), 0));
  }
}

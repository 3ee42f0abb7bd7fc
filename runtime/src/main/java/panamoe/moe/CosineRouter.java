package panamoe.moe;

import panamoe.config.GateConfig;
import panamoe.nn.Cost;
import panamoe.nn.Linear;
import panamoe.nn.Work;
import panamoe.op.CosineOp;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.Initialization;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.tensor.Tensor;

/**
 * Logits are cosines of projected tokens and a vector for each expert, times a learned scale
 * (X-MoE, arXiv 2204.09179; Tutel). Always in FLOAT32.
 */
final class CosineRouter {
  /** Initial scale. */
  private static final Initialization TEMPERATURE =
      new Initialization.Constant((float) Math.log(2));

  private final Linear projection;
  private final Parameter vectors;
  private final Parameter temperature;

  /**
   * Declares {@code projection} [P, M] with its bias, {@code vectors} [E, P], and {@code
   * temperature} [1], the logarithm of the scale.
   */
  CosineRouter(Declarations at, int hidden, int experts, GateConfig.Cosine config) {
    Parameter.Part part = Parameter.Part.ROUTER;
    this.projection = Linear.whole(at.in("projection"), part, hidden, config.width(), true);
    this.vectors = at.in("vectors").table(part, experts, config.width());
    this.temperature = at.vector("temperature", part, TEMPERATURE, Slice.WHOLE, 1);
  }

  /** x [S, M] to logits FLOAT32 [S, E]. */
  Tensor forward(Pass pass, Tensor x) {
    Tensor projected = projection.forwardFloat32(pass, x);
    return CosineOp.forward(pass, projected, vectors.value(), temperature.value());
  }

  Cost cost(Work work) {
    double experts = vectors.matrixShape()[0];
    double width = vectors.matrixShape()[1];
    double statistics = work.training() ? work.bytes32(1) + 4 * (experts + width) : 0;
    double unit = work.bytes32(width) + 4 * experts * width;
    double kept = 4 * (3 * width + 1) + unit + statistics + work.bytes32(experts);
    return projection
        .costFloat32(work)
        .then(Cost.products(work, work.tokens(), experts * width))
        .then(Cost.weights(work, vectors))
        .then(Cost.weights(work, temperature))
        .then(Cost.activations(work, kept, 2 * unit + work.bytes32(experts) + 4 * width));
  }
}

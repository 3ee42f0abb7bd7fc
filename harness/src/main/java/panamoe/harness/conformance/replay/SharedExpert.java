package panamoe.harness.conformance.replay;

import java.util.function.BiFunction;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.GateOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * An expert that every token visits, added to what the routed experts gave: a MoE layer of one
 * expert, whose gate's score is the sigmoid of a logit (Qwen2-MoE) or, as a softmax over one,
 * always 1.
 */
public final class SharedExpert {
  private SharedExpert() {}

  /**
   * @param x [S, M]
   * @param logits FLOAT32 [S, 1], or null for weight 1
   * @param scale factor of the expert's part
   * @param experts rows [R, M] and offsets to [R, M]
   * @param routed [S, M]
   * @return [S, M]
   */
  public static Tensor add(
      Replay replay,
      Tensor x,
      Tensor logits,
      double scale,
      BiFunction<Tensor, Tensor, Tensor> experts,
      Tensor routed) {
    Score score = logits == null ? Score.SOFTMAX : Score.SIGMOID;
    Tensor scored = logits == null ? replay.scope().zeros(DType.FLOAT32, x.size(0), 1) : logits;
    Routes routes =
        GateOp.forward(
            replay.pass(),
            Rules.withWeights(Rules.dropless(1, score, Normalization.RAW), 0, scale),
            scored,
            GateOp.Inputs.NONE,
            0,
            0);
    Tensor rows = DispatchOp.forward(replay.pass(), x, routes);
    Tensor outputs = experts.apply(rows, routes.offsets());
    return CombineOp.forward(replay.pass(), outputs, routes, null, null, routed);
  }
}

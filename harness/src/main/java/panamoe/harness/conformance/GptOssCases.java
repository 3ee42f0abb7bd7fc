package panamoe.harness.conformance;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.Routes;
import panamoe.op.AddOp;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.ExpertOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/**
 * GPT-OSS's MoE block: {@code h = (u' + 1) * g' * sigmoid(alpha g')} with {@code g' = min(g, limit)} and {@code u' =
 * clamp(u, -limit, limit)}. There is no kernel for it, so it is put together of those there are: {@code min(g, limit) =
 * limit - relu(limit - g)}, {@code clamp(u) = relu(u + limit) - relu(u - limit) - limit}, {@code g' sigmoid(alpha g') =
 * silu(alpha g') / alpha}.
 */
final class GptOssCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final int experts;
  private final int hidden;
  private final int inner;
  private final float limit;
  private final float alpha;

  private GptOssCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.experts = golden.hyper("experts").asInt();
    this.hidden = golden.hyper("hidden").asInt();
    this.inner = golden.hyper("intermediate").asInt();
    this.limit = (float) golden.hyper("limit").asDouble();
    this.alpha = (float) golden.hyper("alpha").asDouble();
  }

  static void block(Replay replay) {
    new GptOssCases(replay).compare();
  }

  private void compare() {
    Tensor x = replay.rows("x");
    Tensor router = replay.parameter("w.router.weight");
    Tensor routerBias = replay.parameter("w.router.bias");
    Tensor logits = LinearOp.forward(replay.pass(), x, router, routerBias, Activation.IDENTITY);
    // A softmax over the k best logits is the softmax over all, normalised over the chosen.
    Routes routes =
        GateOp.forward(
            replay.pass(),
            Rules.dropless(golden.hyper("top_k").asInt(), Score.SOFTMAX, Normalization.CHOSEN),
            logits,
            GateOp.Inputs.NONE,
            0,
            0);
    RouteTable table = RouteTable.of(routes);
    replay.exact("topk_index", table.choice());
    replay.close("router_scores", table.weightByExpert());

    float[] gateUp =
        Layouts.transposed(golden.floats("w.experts.gate_up_proj"), experts, hidden, 2 * inner);
    float[] gateUpBias = golden.floats("w.experts.gate_up_proj_bias");
    float[] upBias = Layouts.blocks(gateUpBias, 1, i -> i % 2 == 1);
    Tensor negatedGate =
        replay.parameter(Layouts.scaled(Layouts.blocks(gateUp, hidden, i -> i % 2 == 0), -1), experts, inner, hidden);
    Tensor negatedGateBias =
        replay.parameter(
            Layouts.shifted(Layouts.scaled(Layouts.blocks(gateUpBias, 1, i -> i % 2 == 0), -1), limit),
            experts,
            inner);
    Tensor up = replay.parameter(Layouts.blocks(gateUp, hidden, i -> i % 2 == 1), experts, inner, hidden);
    Tensor upperBias = replay.parameter(Layouts.shifted(upBias, limit), experts, inner);
    Tensor lowerBias =
        replay.watch(
            replay.tensor(Layouts.shifted(upBias, -limit), experts, inner), replay.gradientTensor(upperBias));
    Tensor down =
        replay.parameter(
            Layouts.transposed(golden.floats("w.experts.down_proj"), experts, inner, hidden), experts, hidden, inner);
    Tensor downBias = replay.parameter("w.experts.down_proj_bias");

    Tensor rows = DispatchOp.forward(replay.pass(), x, routes);
    Tensor belowLimit = expert(rows, routes, negatedGate, negatedGateBias, Activation.RELU);
    Tensor gated = Affine.of(replay, belowLimit, -alpha, alpha * limit, Activation.SILU);
    Tensor upper = expert(rows, routes, up, upperBias, Activation.RELU);
    Tensor lower = expert(rows, routes, up, lowerBias, Activation.RELU);
    Tensor linear = AddOp.forward(replay.pass(), upper, Affine.of(replay, lower, -1, 1 - limit, Activation.IDENTITY));
    Tensor activated = Product.of(replay, Affine.of(replay, gated, 1 / alpha, 0, Activation.IDENTITY), linear);
    Tensor outputs = expert(activated, routes, down, downBias, Activation.IDENTITY);
    Tensor out = CombineOp.forward(replay.pass(), outputs, routes, null, null, null);
    replay.close("out", out.toFloats());

    replay.backward(out, golden.floats("upstream"));
    replay.close("grad_x", replay.gradientOfInput(x));
    replay.close("grad.router.weight", replay.gradientOf(router));
    replay.close("grad.router.bias", replay.gradientOf(routerBias));
    float[] gateGradient = Layouts.scaled(replay.gradientOf(negatedGate), -1);
    float[] both = Layouts.inTurn(gateGradient, replay.gradientOf(up), hidden);
    replay.close("grad.experts.gate_up_proj", Layouts.transposed(both, experts, 2 * inner, hidden));
    float[] gateBiasGradient = Layouts.scaled(replay.gradientOf(negatedGateBias), -1);
    replay.close(
        "grad.experts.gate_up_proj_bias", Layouts.inTurn(gateBiasGradient, replay.gradientOf(upperBias), 1));
    replay.close(
        "grad.experts.down_proj", Layouts.transposed(replay.gradientOf(down), experts, hidden, inner));
    replay.close("grad.experts.down_proj_bias", replay.gradientOf(downBias));
  }

  private Tensor expert(Tensor rows, Routes routes, Tensor weights, Tensor bias, Activation activation) {
    return ExpertOp.forward(replay.pass(), rows, routes.offsets(), weights, bias, activation);
  }
}

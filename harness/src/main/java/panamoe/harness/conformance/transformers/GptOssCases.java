package panamoe.harness.conformance.transformers;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.Routes;
import panamoe.harness.conformance.replay.Affine;
import panamoe.harness.conformance.replay.Axes;
import panamoe.harness.conformance.replay.Gates;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Product;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.RouteTable;
import panamoe.op.AddOp;
import panamoe.op.CombineOp;
import panamoe.op.DispatchOp;
import panamoe.op.ExpertOp;
import panamoe.op.GateOp;
import panamoe.op.LinearOp;
import panamoe.tensor.Tensor;

/**
 * GPT-OSS's MoE block: {@code h = (u' + 1) * g' * sigmoid(alpha g')} with {@code g' = min(g,
 * limit)} and {@code u' = clamp(u, -limit, limit)}. There is no kernel for it, so it is put
 * together of those there are: {@code g' = g - relu(g - limit)}, {@code u' = u - relu(u - limit) +
 * relu(-u - limit)}, which are exact within the limits, and {@code g' sigmoid(alpha g') =
 * silu(alpha g') / alpha}.
 */
public final class GptOssCases {
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

  public static void block(Replay replay) {
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
            Gates.softmax(golden.hyper("top_k").asInt(), Normalization.CHOSEN)
                .settings(x.size(0), experts, true),
            logits,
            GateOp.Inputs.NONE,
            0,
            0);
    RouteTable table = RouteTable.of(routes);
    replay.exact("topk_index", table.choice());
    replay.close("router_scores", table.weightByExpert());

    float[] gateUp = swapped(golden.floats("w.experts.gate_up_proj"), hidden, 2 * inner);
    float[] gateUpBias = golden.floats("w.experts.gate_up_proj_bias");
    Weights gate = weights(gateUp, gateUpBias, 0);
    Weights up = weights(gateUp, gateUpBias, 1);
    Tensor negatedUp =
        replay.parameter(Layouts.scaled(up.weight.toFloats(), -1), up.weight.shape());
    Tensor negatedUpBias =
        replay.parameter(
            Layouts.shifted(Layouts.scaled(up.bias.toFloats(), -1), -limit), up.bias.shape());
    Tensor down =
        replay.parameter(
            swapped(golden.floats("w.experts.down_proj"), inner, hidden), experts, hidden, inner);
    Tensor downBias = replay.parameter("w.experts.down_proj_bias");

    Tensor rows = DispatchOp.forward(replay.pass(), x, routes);
    Tensor gated = Affine.of(replay, belowLimit(rows, routes, gate), alpha, 0, Activation.SILU);
    Tensor clamped =
        AddOp.forward(
            replay.pass(),
            belowLimit(rows, routes, up),
            expert(rows, routes, negatedUp, negatedUpBias, Activation.RELU));
    Tensor activated =
        Product.of(
            replay,
            Affine.of(replay, gated, 1 / alpha, 0, Activation.IDENTITY),
            Affine.of(replay, clamped, 1, 1, Activation.IDENTITY));
    Tensor outputs = expert(activated, routes, down, downBias, Activation.IDENTITY);
    Tensor out = CombineOp.forward(replay.pass(), outputs, routes, null, null, null);
    replay.close("out", out.toFloats());

    replay.backward(out, golden.floats("upstream"));
    replay.close("grad_x", replay.gradientOfInput(x));
    replay.close("grad.router.weight", replay.gradientOf(router));
    replay.close("grad.router.bias", replay.gradientOf(routerBias));
    float[] upGradient = difference(replay.gradientOf(up.weight), replay.gradientOf(negatedUp));
    float[] both = Layouts.inTurn(replay.gradientOf(gate.weight), upGradient, hidden);
    replay.close("grad.experts.gate_up_proj", swapped(both, 2 * inner, hidden));
    float[] upBiasGradient =
        difference(replay.gradientOf(up.bias), replay.gradientOf(negatedUpBias));
    replay.close(
        "grad.experts.gate_up_proj_bias",
        Layouts.inTurn(replay.gradientOf(gate.bias), upBiasGradient, 1));
    replay.close("grad.experts.down_proj", swapped(replay.gradientOf(down), hidden, inner));
    replay.close("grad.experts.down_proj_bias", replay.gradientOf(downBias));
  }

  /**
   * One of the two projections [E, F, M], and its bias [E, F] as it is and less the limit, with one
   * gradient.
   */
  private record Weights(Tensor weight, Tensor bias, Tensor biasLessLimit) {}

  /** The peer stores gate and up in turn, row by row. */
  private Weights weights(float[] gateUp, float[] gateUpBias, int parity) {
    float[] bias = Layouts.blocks(gateUpBias, 1, i -> i % 2 == parity);
    Tensor weight =
        replay.parameter(
            Layouts.blocks(gateUp, hidden, i -> i % 2 == parity), experts, inner, hidden);
    Tensor biasTensor = replay.parameter(bias, experts, inner);
    Tensor lessLimit =
        replay.watch(
            replay.tensor(Layouts.shifted(bias, -limit), experts, inner),
            replay.gradientTensor(biasTensor));
    return new Weights(weight, biasTensor, lessLimit);
  }

  private Tensor belowLimit(Tensor rows, Routes routes, Weights weights) {
    Tensor linear = expert(rows, routes, weights.weight, weights.bias, Activation.IDENTITY);
    Tensor excess = expert(rows, routes, weights.weight, weights.biasLessLimit, Activation.RELU);
    return AddOp.forward(
        replay.pass(), linear, Affine.of(replay, excess, -1, 0, Activation.IDENTITY));
  }

  private float[] swapped(float[] values, int rows, int columns) {
    return Axes.of(experts, rows, columns).as(0, 2, 1).ordered(values);
  }

  private static float[] difference(float[] a, float[] b) {
    float[] result = new float[a.length];
    for (int i = 0; i < a.length; i++) {
      result[i] = a[i] - b[i];
    }
    return result;
  }

  private Tensor expert(
      Tensor rows, Routes routes, Tensor weights, Tensor bias, Activation activation) {
    return ExpertOp.forward(replay.pass(), rows, routes.offsets(), weights, bias, activation);
  }
}

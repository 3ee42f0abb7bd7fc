package panamoe.lab.conformance.torch;

import java.util.Arrays;
import panamoe.backend.Activation;
import panamoe.backend.AttentionGradients;
import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.config.DenseConfig;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.nn.Mlp;
import panamoe.op.EmbeddingOp;
import panamoe.op.LinearOp;
import panamoe.op.NormOp;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** PyTorch's layers: linear, norms, embedding, SwiGLU MLP, softmax, top-k, casts. */
public final class TorchCases {
  private TorchCases() {}

  public static void linear(Replay replay) {
    replay.compare(
        LinearOp.forward(
            replay.pass(),
            replay.input("x"),
            replay.parameter("w"),
            replay.parameter("b"),
            Activation.IDENTITY));
  }

  public static void layerNorm(Replay replay) {
    norm(replay, replay.parameter("b"));
  }

  public static void rmsNorm(Replay replay) {
    norm(replay, null);
  }

  private static void norm(Replay replay, Tensor beta) {
    float epsilon = (float) replay.golden().setting("eps").asDouble();
    Tensor x = replay.input("x");
    replay.compare(NormOp.forward(replay.pass(), x, replay.parameter("w"), beta, epsilon, 0));
  }

  public static void embedding(Replay replay) {
    long[] ids = replay.golden().longs("ids");
    Tensor tokens = replay.integers(ids, ids.length);
    replay.compare(EmbeddingOp.forward(replay.pass(), tokens, replay.parameter("w")));
  }

  public static void swigluMlp(Replay replay) {
    GoldenFile golden = replay.golden();
    int hidden = golden.size("w1", 1);
    DenseConfig config = new DenseConfig(golden.size("w1", 0), Activation.SWIGLU, false);
    WeightMap weights =
        new WeightMap("", "grad.").put("up.weight", "w1", "w3").put("down.weight", "w2");
    try (BlockReplay<Mlp> block =
        new BlockReplay<>(replay, weights, at -> new Mlp(at, hidden, config))) {
      replay.compare(block.layer().forward(block.pass(), replay.input("x")));
      block.compareGradients();
    }
  }

  public static void softmax(Replay replay) {
    float[] logits = replay.golden().floats("x");
    Softmax softmax =
        Softmax.of(
            replay, logits, replay.golden().floats("upstream"), replay.golden().size("x", 1));
    replay.close("out", softmax.probability());
    replay.close("logsumexp", softmax.logSumExp());
    replay.close("log_softmax", softmax.logOf(logits));
    replay.close("grad.x", softmax.gradient());
    replay.note("softmax within the attention kernel");
  }

  /**
   * Top-k of each row, computed as a gate's chosen experts; with a noise input it chooses by
   * logits.
   */
  public static void topK(Replay replay) {
    GoldenFile golden = replay.golden();
    Tensor x = replay.input("x");
    int topK = golden.setting("k").asInt();
    GateKernels.Inputs inputs =
        new GateKernels.Inputs(x, null, null, replay.constant(0, x.shape()), null);
    RouteTable table = RouteTable.of(replay.route(GateSettings.dropless(topK), inputs, 0));
    replay.exact("indices", table.routes().choice());
    long[] best = new long[table.tokens()];
    Arrays.setAll(best, s -> table.routes().choice()[s * topK]);
    replay.exact("argmax", best);
    replay.close("values", table.atRoutes(golden.floats("x")));
  }

  /** To bfloat16 by the cast kernel: equal bits, except in NaNs. float16 exists only in files. */
  public static void cast(Replay replay) {
    GoldenFile golden = replay.golden();
    Tensor x = replay.input("x");
    Tensor rounded = replay.scope().allocate(DType.BFLOAT16, x.shape());
    replay.backend().cast(x, rounded);
    float[] actual = rounded.toFloats();
    long[] bits = golden.longs("bf16_bits");
    float[] expected = Layouts.floats(bits.length, i -> BFloat16.toFloat((short) bits[i]));
    replay.exact("bf16_bits", bitsOf(expected), bitsOf(actual));
    Tensor widened = replay.scope().allocate(DType.FLOAT32, x.shape());
    replay.backend().cast(rounded, widened);
    replay.exact(
        "bf16 read and widened", bitsOf(golden.floats("bf16")), bitsOf(widened.toFloats()));
    long[] halfBits = golden.longs("f16_bits");
    float[] halves =
        Layouts.floats(halfBits.length, i -> Float.float16ToFloat((short) halfBits[i]));
    replay.exact("f16 read", bitsOf(halves), bitsOf(golden.floats("f16")));
    replay.note("float16 is only read, never computed in");
  }

  /** Bits of the values; all NaNs become equal. */
  private static long[] bitsOf(float[] values) {
    long[] bits = new long[values.length];
    Arrays.setAll(bits, i -> Float.floatToIntBits(values[i]));
    return bits;
  }

  /**
   * The softmax p of rows of logits [N, C], which exists only inside kernels. Attention computes
   * it: with head size 1, query 1, the logits as keys and a table v as values, the last token's
   * output is the mean of v under p, its logsumexp the row's, and its gradients are p itself and
   * {@code p (v - mean)}.
   *
   * @param mean of the values under p [N]
   * @param logSumExp [N]
   * @param probability p [N, C]
   * @param gradient of the mean with respect to the logits [N, C]
   */
  private record Softmax(float[] mean, float[] logSumExp, float[] probability, float[] gradient) {

    static Softmax of(Replay replay, float[] logits, float[] values, int columns) {
      Backend backend = replay.backend();
      int rows = logits.length / columns;
      long[] shape = {rows, columns, 1, 1};
      Tensor q = replay.constant(1, shape);
      Tensor k = replay.tensor(logits, shape);
      Tensor v = replay.tensor(values, shape);
      Tensor out = replay.scope().allocate(DType.FLOAT32, shape);
      Tensor logSumExp = replay.scope().allocate(DType.FLOAT32, rows, 1, columns);
      AttentionSettings settings = AttentionSettings.causal(1);
      AttentionInputs inputs = new AttentionInputs(q, k, v);
      backend.attentionForward(settings, inputs, out, logSumExp);
      Tensor dout = replay.scope().zeros(DType.FLOAT32, shape);
      for (int row = 0; row < rows; row++) {
        dout.setFloat((long) (row + 1) * columns - 1, 1);
      }
      Tensor dq = replay.scope().allocate(DType.FLOAT32, shape);
      Tensor dk = replay.scope().allocate(DType.FLOAT32, shape);
      Tensor dv = replay.scope().allocate(DType.FLOAT32, shape);
      backend.attentionBackward(
          settings, inputs, out, logSumExp, dout, new AttentionGradients(dq, dk, dv));
      return new Softmax(
          last(out, rows, columns), last(logSumExp, rows, columns), dv.toFloats(), dk.toFloats());
    }

    /** {@code logits - logsumexp} [N, C]. */
    float[] logOf(float[] logits) {
      int columns = logits.length / logSumExp.length;
      return Layouts.floats(logits.length, i -> logits[i] - logSumExp[i / columns]);
    }

    private static float[] last(Tensor tensor, int rows, int columns) {
      return Layouts.floats(rows, row -> tensor.getFloat((row + 1L) * columns - 1));
    }
  }
}

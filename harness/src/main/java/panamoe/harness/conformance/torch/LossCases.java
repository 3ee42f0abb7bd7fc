package panamoe.harness.conformance.torch;

import java.util.Arrays;
import panamoe.backend.LossKernels;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.op.CrossEntropyOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Cross-entropy, plain and fused with the logits, and the distillation losses (temperature, mixed,
 * MoS).
 */
public final class LossCases {
  private LossCases() {}

  public static void crossEntropy(Replay replay) {
    GoldenFile golden = replay.golden();
    float smoothing = (float) golden.optionalSetting("label_smoothing").asDouble(0);
    long[] targets = targets(golden, golden.optionalSetting("ignore_index").asLong(-100));
    long counted = Arrays.stream(targets).filter(target -> target >= 0).count();
    boolean sums = golden.optionalSetting("reduction").asText("mean").equals("sum");
    // A mean over no token is NaN, and has no gradient.
    float part = sums ? 1 : counted == 0 ? 0 : 1f / counted;
    int rows = targets.length;
    int classes = golden.size("logits", 1);

    Tensor logits = replay.input("logits");
    Tensor targetTable = replay.integers(targets, rows);
    Tensor losses = replay.scope().allocate(DType.FLOAT32, rows);
    Tensor gradient = replay.scope().allocate(DType.FLOAT32, rows, classes);
    replay
        .backend()
        .crossEntropy(
            new LossKernels.Tokens(targetTable, smoothing, part, losses), logits, gradient);
    compare(replay, losses.toFloats(), sums ? 1 : counted, gradient.toFloats());

    float[] unit = new float[classes * classes];
    for (int i = 0; i < classes; i++) {
      unit[i * classes + i] = 1;
    }
    Tensor fused =
        CrossEntropyOp.forward(
            replay.pass(),
            logits,
            replay.parameter(unit, classes, classes),
            targetTable,
            smoothing,
            part);
    replay.backward();
    compare(replay, fused.toFloats(), sums ? 1 : counted, replay.gradientOfInput(logits));
  }

  private static void compare(Replay replay, float[] losses, double divisor, float[] gradient) {
    replay.close("loss", sum(losses) / divisor);
    if (replay.golden().has("loss_per_token")) {
      replay.close("loss_per_token", losses);
    }
    if (replay.golden().has("grad_logits")) {
      replay.close("grad_logits", gradient);
    }
  }

  /** Labels as ours are: -1 where a token does not count. */
  private static long[] targets(GoldenFile golden, long ignored) {
    return Arrays.stream(golden.longs("labels"))
        .map(label -> label == ignored ? -1 : label)
        .toArray();
  }

  public static void distillation(Replay replay) {
    GoldenFile golden = replay.golden();
    double temperature = golden.setting("temperature").asDouble();
    float[] student = golden.floats("student_logits");
    int rows = golden.size("student_logits", 0);
    int classes = golden.size("student_logits", 1);
    Divergence divergence =
        Divergence.of(replay, golden.floats("teacher_logits"), student, temperature, classes);
    replay.close("kl_per_token", divergence.byRow());
    double mean = sum(divergence.byRow()) / rows;
    replay.close("kl_batchmean", mean);
    replay.close("kl_batchmean_log_target", mean);
    replay.close("grad_kl_batchmean", Layouts.scaled(divergence.gradient(), 1.0 / rows));

    long[] targets = targets(golden, golden.setting("ignore_index").asLong());
    boolean[] used = new boolean[rows];
    int counted = 0;
    for (int row = 0; row < rows; row++) {
      used[row] = targets[row] >= 0;
      counted += used[row] ? 1 : 0;
    }
    double maskedMean = sum(Layouts.cleared(divergence.byRow(), used)) / counted;
    float[] maskedGradient =
        Layouts.scaled(Layouts.cleared(divergence.gradient(), used), 1.0 / counted);
    replay.close("kl_masked_mean", maskedMean);
    replay.close("grad_kl_masked_mean", maskedGradient);

    Tensor losses = replay.scope().allocate(DType.FLOAT32, rows);
    Tensor gradient = replay.scope().allocate(DType.FLOAT32, rows, classes);
    replay
        .backend()
        .crossEntropy(
            new LossKernels.Tokens(replay.integers(targets, rows), 0, 1f / counted, losses),
            replay.input("student_logits"),
            gradient);
    double crossEntropy = sum(losses.toFloats()) / counted;
    replay.close("ce", crossEntropy);
    float alphaCrossEntropy = (float) golden.setting("alpha_ce").asDouble();
    float alphaDivergence =
        (float) (golden.setting("alpha_kd").asDouble() * temperature * temperature);
    replay.close("mixed_loss", alphaCrossEntropy * crossEntropy + alphaDivergence * maskedMean);
    Tensor mixed = replay.scope().allocate(DType.FLOAT32, rows, classes);
    replay
        .backend()
        .add(
            alphaCrossEntropy,
            gradient,
            alphaDivergence,
            replay.tensor(maskedGradient, rows, classes),
            mixed);
    replay.close("grad_mixed", mixed.toFloats());
    replay.comparison().note(Divergence.NOTE);
  }

  /** Megatron-DeepSpeed's MoS loss: {@code beta T^2 KL / (B L)}, the sum over all tokens. */
  public static void mixtureOfStudents(Replay replay) {
    GoldenFile golden = replay.golden();
    double temperature = golden.setting("kd_temp").asDouble();
    double factor =
        golden.setting("kd_beta_ce").asDouble()
            * temperature
            * temperature
            / (golden.size("student_logits", 0) * golden.setting("seq_length").asDouble());
    Divergence divergence =
        Divergence.of(
            replay,
            golden.floats("teacher_logits"),
            golden.floats("student_logits"),
            temperature,
            golden.size("student_logits", 2));
    replay.close("mos_loss", factor * sum(divergence.byRow()));
    replay.close("grad_student_logits", Layouts.scaled(divergence.gradient(), factor));
    replay.comparison().note(Divergence.NOTE);
  }

  private static double sum(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return sum;
  }
}

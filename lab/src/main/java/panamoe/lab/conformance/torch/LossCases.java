package panamoe.lab.conformance.torch;

import java.util.Arrays;
import panamoe.backend.LossKernels;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.op.CrossEntropyOp;
import panamoe.op.DistillationOp;
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
    boolean sums = golden.optionalSetting("reduction").asString("mean").equals("sum");
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
            new LossKernels.Tokens(targetTable, smoothing, part, losses, 0), logits, gradient);
    compare(replay, losses.toFloats(), sums ? 1 : counted, gradient.toFloats());

    Tensor fused =
        CrossEntropyOp.forward(
            replay.pass(), logits, identity(replay, classes), 0, targetTable, smoothing, part);
    replay.backward();
    compare(replay, fused.toFloats(), sums ? 1 : counted, replay.gradientOf(logits));
  }

  private static void compare(Replay replay, float[] losses, double divisor, float[] gradient) {
    replay.close("loss", sum(losses) / divisor);
    replay.closeIfRecorded("loss_per_token", losses);
    replay.closeIfRecorded("grad_logits", gradient);
  }

  /** Our labels: -1 for ignored tokens. */
  private static long[] targets(GoldenFile golden, long ignored) {
    return Arrays.stream(golden.longs("labels"))
        .map(label -> label == ignored ? -1 : label)
        .toArray();
  }

  public static void distillation(Replay replay) {
    GoldenFile golden = replay.golden();
    double temperature = golden.setting("temperature").asDouble();
    int rows = golden.size("student_logits", 0);
    Distilled every =
        Distilled.divergence(replay, temperature, replay.integers(new long[rows], rows));
    replay.close("kl_per_token", every.divergences());
    double mean = sum(every.divergences()) / rows;
    replay.close("kl_batchmean", mean);
    replay.close("kl_batchmean_log_target", mean);
    replay.close("grad_kl_batchmean", Layouts.scaled(every.gradient(), 1.0 / rows));

    long[] labels = targets(golden, golden.setting("ignore_index").asLong());
    long counted = Arrays.stream(labels).filter(label -> label >= 0).count();
    Tensor targets = replay.integers(labels, rows);
    Distilled masked = Distilled.divergence(replay, temperature, targets);
    double maskedMean = sum(masked.divergences()) / counted;
    replay.close("kl_masked_mean", maskedMean);
    replay.close("grad_kl_masked_mean", Layouts.scaled(masked.gradient(), 1.0 / counted));

    double alphaCrossEntropy = golden.setting("alpha_ce").asDouble();
    double alphaDivergence = golden.setting("alpha_kd").asDouble() * temperature * temperature;
    Distilled mixed =
        Distilled.of(
            replay,
            temperature,
            alphaDivergence / alphaCrossEntropy,
            targets,
            alphaCrossEntropy / counted);
    double crossEntropy = sum(mixed.crossEntropies()) / counted;
    replay.close("ce", crossEntropy);
    replay.close("mixed_loss", alphaCrossEntropy * crossEntropy + alphaDivergence * maskedMean);
    replay.close("grad_mixed", mixed.gradient());
  }

  /** Megatron-DeepSpeed's MoS loss: {@code beta T^2 KL / (B L)}, the sum over all tokens. */
  public static void mixtureOfStudents(Replay replay) {
    GoldenFile golden = replay.golden();
    double temperature = golden.setting("kd_temp").asDouble();
    int sequences = golden.size("student_logits", 0);
    int rows = sequences * golden.size("student_logits", 1);
    double factor =
        golden.setting("kd_beta_ce").asDouble()
            * temperature
            * temperature
            / (sequences * golden.setting("seq_length").asDouble());
    Distilled every =
        Distilled.divergence(replay, temperature, replay.integers(new long[rows], rows));
    replay.close("mos_loss", factor * sum(every.divergences()));
    replay.close("grad_student_logits", Layouts.scaled(every.gradient(), factor));
  }

  /**
   * The losses and gradient of distillation on the recorded logits.
   *
   * @param crossEntropies [S]
   * @param divergences [S]
   * @param gradient of the student's logits [S, V]
   */
  private record Distilled(float[] crossEntropies, float[] divergences, float[] gradient) {

    static Distilled of(
        Replay replay, double temperature, double weight, Tensor targets, double dloss) {
      Tensor student = replay.rows("student_logits");
      DistillationOp.Losses losses =
          DistillationOp.forward(
              replay.freshPass(),
              student,
              identity(replay, Math.toIntExact(student.size(1))),
              0,
              new DistillationOp.Teacher(
                  (float) temperature, (float) weight, replay.rows("teacher_logits"), null),
              targets,
              0,
              (float) dloss);
      replay.backward();
      return new Distilled(
          losses.crossEntropies().toFloats(),
          losses.divergences().toFloats(),
          replay.gradientOf(student));
    }

    /** The divergence alone. */
    static Distilled divergence(Replay replay, double temperature, Tensor targets) {
      Distilled both = of(replay, temperature, 1, targets, 1);
      float[] without = of(replay, temperature, 0, targets, 1).gradient();
      float[] gradient = both.gradient();
      for (int i = 0; i < gradient.length; i++) {
        gradient[i] -= without[i];
      }
      return both;
    }
  }

  /** The identity [C, C], whose logits equal the hidden state. */
  private static Tensor identity(Replay replay, int classes) {
    float[] unit = new float[classes * classes];
    for (int i = 0; i < classes; i++) {
      unit[i * classes + i] = 1;
    }
    return replay.parameter(unit, classes, classes);
  }

  private static double sum(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return sum;
  }
}

package panamoe.train;

import java.util.List;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.model.KeptLayers;

/**
 * Distillation of a student from a teacher (DeepSpeed-MoE §4.2): a token's loss is its
 * cross-entropy plus {@code alpha T^2 KL(teacher || student)}, both softmaxes at temperature T. It
 * is staged: the second term ends before training, because a small student cannot match its teacher
 * to the end.
 *
 * <p>On-policy the second term is not of the text but of what the student writes: see {@link
 * #onPolicyMix}.
 *
 * @param alpha weight of the second term at the beginning
 * @param temperature T
 * @param stage when the second term ends
 * @param layers of the teacher whose weights the student starts from; null: it starts from random
 *     weights
 * @param onPolicyMix null: the teacher reads the text. Otherwise the student continues the first
 *     half of each sequence, only the text has a cross-entropy, and only the student's half a
 *     divergence, {@code (1 - onPolicyMix) KL(student || teacher) + onPolicyMix KL(teacher ||
 *     student)}
 */
public record DistillationConfig(
    double alpha,
    double temperature,
    Stage stage,
    @Omittable List<Integer> layers,
    @Omittable Double onPolicyMix) {

  public enum Fall {
    /** A step to 0 at the end of the stage. */
    STOP,
    LINEAR,
    COSINE
  }

  /**
   * @param fall how alpha falls to 0
   * @param until the fraction of the run's tokens after which it is 0; 1 for the whole run
   */
  public record Stage(Fall fall, double until) {
    public Stage {
      Require.that(fall != null, "fall is null, expected STOP, LINEAR or COSINE");
      boolean holds = until > 0 && until <= 1;
      Require.that(holds, "until is %s, expected more than 0, at most 1", until);
    }

    /**
     * The remaining fraction of alpha.
     *
     * @param progress fraction of the run's tokens
     */
    double left(double progress) {
      if (progress >= until) {
        return 0;
      }
      return switch (fall) {
        case STOP -> 1;
        case LINEAR -> 1 - progress / until;
        case COSINE -> 0.5 * (1 + Math.cos(Math.PI * progress / until));
      };
    }
  }

  public DistillationConfig {
    Require.that(alpha >= 0 && alpha <= 1e6, "alpha is %s, expected 0 to 1e6", alpha);
    Require.that(
        temperature >= 0.01 && temperature <= 100,
        "temperature is %s, expected 0.01 to 100",
        temperature);
    Require.that(stage != null, "stage is null, expected an object");
    Require.that(
        onPolicyMix == null || onPolicyMix >= 0 && onPolicyMix <= 1,
        "onPolicyMix is %s, expected 0 (reverse KL) to 1 (forward KL)",
        onPolicyMix);
    layers = layers == null ? null : new KeptLayers(layers).layers();
  }

  /** A teacher that reads the text. */
  public DistillationConfig(double alpha, double temperature, Stage stage, List<Integer> layers) {
    this(alpha, temperature, stage, layers, null);
  }

  /**
   * The paper's settings: alpha and temperature 1, until 70 % of the tokens are trained on.
   *
   * @param layers the teacher's layers that the student starts from; null: none
   */
  public static DistillationConfig staged(List<Integer> layers) {
    return new DistillationConfig(1, 1, new Stage(Fall.STOP, 0.7), layers);
  }

  /** Alpha in step {@code step} (from 0) of {@code steps}. */
  public double alpha(long step, long steps) {
    return alpha * stage.left((double) step / steps);
  }
}

package panamoe.moe;

import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;

/**
 * How a layer's gate chooses experts. Exact rules: docs/gating.md.
 *
 * @param topK experts a token is sent to
 * @param score how logits become scores
 * @param dropPolicy who leaves when an expert is over its capacity; {@link DropPolicy#DROPLESS}
 *     keeps every route
 * @param capacityFactor capacity in training, relative to an even split of all routes; unused where
 *     nothing is dropped
 * @param evaluationCapacityFactor the same in evaluation
 * @param minimumCapacity lower bound of the capacity; unused where nothing is dropped
 * @param queueOrder order of an expert's queue
 * @param normalization what scores are divided by to become weights
 * @param noise randomness of the choice, in training only
 * @param auxiliaryOverAllChoices whether the auxiliary loss counts all k choices, or the first only
 * @param auxiliaryCoefficient factor of the auxiliary (load balancing) loss in the objective
 * @param zCoefficient factor of the z loss in the objective
 */
public record GateConfig(
    int topK,
    Score score,
    DropPolicy dropPolicy,
    double capacityFactor,
    double evaluationCapacityFactor,
    int minimumCapacity,
    QueueOrder queueOrder,
    Normalization normalization,
    Noise noise,
    boolean auxiliaryOverAllChoices,
    double auxiliaryCoefficient,
    double zCoefficient) {

  /** Largest k the kernels serve. */
  public static final int MAX_TOP_K = 16;

  /** Random exploration during training; evaluation is always deterministic. */
  public enum Noise {
    NONE,
    /**
     * The gate's input is multiplied by a uniform number in 0.99 to 1.01 (Switch, DeepSpeed
     * "Jitter").
     */
    JITTER,
    /** Gumbel noise on the logits of every choice (DeepSpeed "RSample"). */
    GUMBEL,
    /** Gumbel noise from the second choice on (DeepSpeed top-2 second-expert sampling). */
    GUMBEL_FROM_SECOND
  }

  public GateConfig {
    if (topK < 1 || topK > MAX_TOP_K) {
      throw new IllegalArgumentException("topK is " + topK + ", expected 1 to " + MAX_TOP_K);
    }
    requirePresent("score", score);
    requirePresent("dropPolicy", dropPolicy);
    requirePresent("queueOrder", queueOrder);
    requirePresent("normalization", normalization);
    requirePresent("noise", noise);
    requirePositive("capacityFactor", capacityFactor);
    requirePositive("evaluationCapacityFactor", evaluationCapacityFactor);
    if (minimumCapacity < 0) {
      throw new IllegalArgumentException(
          "minimumCapacity is " + minimumCapacity + ", expected 0 or more");
    }
    requireCoefficient("auxiliaryCoefficient", auxiliaryCoefficient);
    requireCoefficient("zCoefficient", zCoefficient);
  }

  /**
   * Every token to its k best experts, nothing dropped; raw weight for top-1, normalised over the k
   * for more.
   */
  public static GateConfig dropless(int topK) {
    return new GateConfig(
        topK,
        Score.SOFTMAX,
        DropPolicy.DROPLESS,
        1,
        1,
        0,
        QueueOrder.TOKEN_MAJOR,
        topK == 1 ? Normalization.RAW : Normalization.CHOSEN,
        Noise.NONE,
        true,
        0.01,
        0);
  }

  /**
   * DeepSpeed-MoE's gate with token dropping: top-1 with random token selection and raw weights,
   * top-2 with second choices queued behind all first ones, top-k dropping the least probable
   * routes; from k = 2 on normalised over the survivors.
   */
  public static GateConfig deepSpeed(int topK, double capacityFactor, int minimumCapacity) {
    return new GateConfig(
        topK,
        Score.SOFTMAX,
        switch (topK) {
          case 1 -> DropPolicy.PRIORITY;
          case 2 -> DropPolicy.POSITION;
          default -> DropPolicy.PROBABILITY;
        },
        capacityFactor,
        capacityFactor,
        minimumCapacity,
        topK == 2 ? QueueOrder.CHOICE_MAJOR : QueueOrder.TOKEN_MAJOR,
        topK == 1 ? Normalization.RAW : Normalization.SURVIVORS,
        topK == 2 ? Noise.GUMBEL_FROM_SECOND : Noise.NONE,
        topK > 2,
        0.01,
        0);
  }

  /**
   * The same gate without dropping, as it is used to generate text: no token's route depends on its
   * neighbours.
   */
  public GateConfig withoutDropping() {
    return new GateConfig(
        topK,
        score,
        DropPolicy.DROPLESS,
        capacityFactor,
        evaluationCapacityFactor,
        minimumCapacity,
        queueOrder,
        normalization,
        noise,
        auxiliaryOverAllChoices,
        auxiliaryCoefficient,
        zCoefficient);
  }

  /** The same gate with another weight of the load balancing loss. */
  public GateConfig withAuxiliaryCoefficient(double coefficient) {
    return new GateConfig(
        topK,
        score,
        dropPolicy,
        capacityFactor,
        evaluationCapacityFactor,
        minimumCapacity,
        queueOrder,
        normalization,
        noise,
        auxiliaryOverAllChoices,
        coefficient,
        zCoefficient);
  }

  /**
   * Routes an expert keeps: {@code max(ceil(S/E * k * capacityFactor), minimumCapacity)}, in
   * float32 as DeepSpeed computes it; 0, which kernels ignore, where nothing is dropped.
   */
  public long capacity(long tokens, int experts, boolean training) {
    if (dropPolicy == DropPolicy.DROPLESS) {
      return 0;
    }
    double factor = training ? capacityFactor : evaluationCapacityFactor;
    float even = (float) tokens / experts;
    return Math.max((long) Math.ceil(even * (float) (factor * topK)), minimumCapacity);
  }

  /**
   * The settings of one call. Evaluation never draws random numbers: where training drops by random
   * priority, evaluation keeps the most probable routes.
   */
  public GateSettings settings(long tokens, int experts, boolean training) {
    DropPolicy policy =
        !training && dropPolicy == DropPolicy.PRIORITY ? DropPolicy.PROBABILITY : dropPolicy;
    return new GateSettings(
        topK,
        score,
        policy,
        queueOrder,
        normalization,
        capacity(tokens, experts, training),
        1,
        1,
        GroupScore.MAXIMUM,
        auxiliaryOverAllChoices ? topK : 1,
        noise == Noise.GUMBEL_FROM_SECOND ? 1 : 0,
        Math.ulp(1f),
        0,
        1);
  }

  static void requirePresent(String name, Object value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " is missing");
    }
  }

  private static void requirePositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected a positive number");
    }
  }

  private static void requireCoefficient(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 0 or more");
    }
  }
}

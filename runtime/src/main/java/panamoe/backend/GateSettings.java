package panamoe.backend;

/**
 * The rules of one gate call, with the capacity in routes: the {@code moe_gate_config} of the C
 * ABI.
 *
 * @param topK experts a token is sent to, 1 to 16
 * @param groups of experts; a token chooses within the best groups
 * @param noiseFirstChoice first choice (from 0) that the noise acts on
 * @param queues order and capacity of the experts' queues
 * @param weighting how a route's score becomes its weight
 * @param auxiliaryChoices choices that the auxiliary loss counts, 1 to topK
 */
public record GateSettings(
    int topK,
    Score score,
    Groups groups,
    int noiseFirstChoice,
    Queues queues,
    Weighting weighting,
    int auxiliaryChoices) {

  /**
   * Equal groups of experts: a token chooses within the best {@code chosen} of {@code count}.
   *
   * @param score the rank of a group
   */
  public record Groups(int count, int chosen, GroupScore score) {
    /** All experts. */
    public static final Groups ONE = new Groups(1, 1, GroupScore.MAXIMUM);
  }

  /**
   * The queues of the experts.
   *
   * @param capacity routes an expert keeps; ignored when dropless
   */
  public record Queues(DropPolicy policy, QueueOrder order, long capacity) {
    public static final Queues DROPLESS =
        new Queues(DropPolicy.DROPLESS, QueueOrder.TOKEN_MAJOR, 0);
  }

  /**
   * A route's weight, {@code scale * score / max(sum + offset, epsilon)}.
   *
   * @param normalization the sum's terms; {@link Normalization#RAW} has no denominator
   */
  public record Weighting(Normalization normalization, float epsilon, float offset, float scale) {
    /** Without offset and scale; the denominator is at least float32's epsilon. */
    public static Weighting of(Normalization normalization) {
      return new Weighting(normalization, Math.ulp(1f), 0, 1);
    }
  }

  /** How a token's logits become scores. */
  public enum Score {
    SOFTMAX,
    SIGMOID;

    /** Whether a token's scores add up to 1, so that each depends on all logits. */
    public boolean isShare() {
      return this == SOFTMAX;
    }
  }

  /** Which routes survive when an expert is asked for more than its capacity. */
  public enum DropPolicy {
    DROPLESS,
    /** The first routes of the queue. */
    POSITION,
    /** The highest scores. */
    PROBABILITY,
    /** Random token selection: the highest of given random priorities. */
    PRIORITY,
    /**
     * Batch-prioritised routing (V-MoE, arXiv 2106.05974): the routes of the tokens with the
     * highest best score; in a choice-major queue, first choices still come before second ones.
     */
    BEST_SCORE
  }

  /** The order in which routes stand in an expert's queue. */
  public enum QueueOrder {
    TOKEN_MAJOR,
    /** All first choices before all second choices (GShard, DeepSpeed top-2). */
    CHOICE_MAJOR
  }

  /** The denominator of a route's score. */
  public enum Normalization {
    RAW,
    /** The sum over the chosen experts, before dropping. */
    CHOSEN,
    /** The sum over the routes that survived. */
    SURVIVORS
  }

  /** The score of a group of experts. */
  public enum GroupScore {
    MAXIMUM,
    TOP2_SUM
  }

  /** These rules for only the best {@code fewer} choices, 1 to topK. */
  public GateSettings withTopK(int fewer) {
    return new GateSettings(
        fewer,
        score,
        groups,
        noiseFirstChoice,
        queues,
        weighting,
        Math.min(fewer, auxiliaryChoices));
  }

  /**
   * Whether a token's choices are the k largest of the softmax over all experts.
   *
   * @param biased whether a bias is added for the choice
   */
  public boolean choosesBySoftmax(boolean biased) {
    return score == Score.SOFTMAX && groups.count == 1 && !biased;
  }

  /** As many choices, but the largest of the softmax over all experts. */
  public GateSettings bySoftmax() {
    return new GateSettings(
        topK,
        Score.SOFTMAX,
        Groups.ONE,
        noiseFirstChoice,
        Queues.DROPLESS,
        Weighting.of(Normalization.RAW),
        auxiliaryChoices);
  }

  /** These rules where noise alone decides the choice. */
  public GateSettings byNoise() {
    return new GateSettings(topK, score, Groups.ONE, 0, queues, weighting, auxiliaryChoices);
  }

  /** These rules without a capacity: every route is kept. */
  public GateSettings dropless() {
    return new GateSettings(
        topK, score, groups, noiseFirstChoice, Queues.DROPLESS, weighting, auxiliaryChoices);
  }

  /** Dropless top-k of softmax scores with raw weights. */
  public static GateSettings dropless(int topK) {
    return dropless(topK, Score.SOFTMAX);
  }

  /** Dropless top-k with raw weights. */
  public static GateSettings dropless(int topK, Score score) {
    return new GateSettings(
        topK, score, Groups.ONE, 0, Queues.DROPLESS, Weighting.of(Normalization.RAW), topK);
  }
}

package panamoe.backend;

/**
 * One call's rules of the gate, with the capacity already worked out: the {@code moe_gate_config}
 * of the C ABI.
 *
 * @param topK experts a token is sent to, 1 to 16
 * @param capacity routes an expert keeps; ignored when dropless
 * @param groups experts are chosen within the best {@code chosenGroups} of {@code groups} equal
 *     groups; 1 and 1: off
 * @param auxiliaryChoices choices that the auxiliary loss counts, 1 to topK
 * @param noiseFirstChoice first choice (from 0) that the noise acts on
 * @param normalizationEpsilon lower bound of the denominator
 * @param denominatorOffset added to the denominator before the bound
 * @param weightScale factor of every weight
 */
public record GateSettings(
    int topK,
    Score score,
    DropPolicy dropPolicy,
    QueueOrder queueOrder,
    Normalization normalization,
    long capacity,
    int groups,
    int chosenGroups,
    GroupScore groupScore,
    int auxiliaryChoices,
    int noiseFirstChoice,
    float normalizationEpsilon,
    float denominatorOffset,
    float weightScale) {

  /** How a logit becomes a score. */
  public enum Score {
    SOFTMAX,
    SIGMOID
  }

  /** Which routes survive when an expert is asked for more than its capacity. */
  public enum DropPolicy {
    DROPLESS,
    /** The first of its queue. */
    POSITION,
    /** The highest scores. */
    PROBABILITY,
    /** Random token selection: the highest of given random priorities. */
    PRIORITY
  }

  /** The order in which routes stand in an expert's queue. */
  public enum QueueOrder {
    TOKEN_MAJOR,
    /** All first choices before all second choices (GShard, DeepSpeed top-2). */
    CHOICE_MAJOR
  }

  /** What a route's score is divided by. */
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

  /** Dropless top-k of softmax scores with raw weights. */
  public static GateSettings dropless(int topK) {
    return new GateSettings(
        topK,
        Score.SOFTMAX,
        DropPolicy.DROPLESS,
        QueueOrder.TOKEN_MAJOR,
        Normalization.RAW,
        0,
        1,
        1,
        GroupScore.MAXIMUM,
        topK,
        0,
        1.1920929e-7f,
        0,
        1);
  }
}

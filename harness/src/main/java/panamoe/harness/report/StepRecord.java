package panamoe.harness.report;

import java.util.Collections;
import java.util.List;
import panamoe.io.Require;

/**
 * A line of {@code metrics.jsonl}: the keys of its JSON object that a report reads, in camel case.
 *
 * @param step from 1
 * @param tokens seen so far
 * @param loss mean cross-entropy, nats per token
 * @param bitsPerByte of the step's batch
 * @param auxLoss mean load balancing loss of the MoE layers, 1 at perfect balance; null if the line
 *     has none
 * @param gradNorm before clipping; null if the line has none
 * @param divergence KL(teacher || student), nats per token; null without a teacher
 * @param rewardMargin mean margin of the pairs of answers; null without pairs
 * @param pairAccuracy the share of pairs in which the model prefers the chosen answer
 * @param validationBitsPerByte null except after evaluation steps
 * @param validationLoss of the pairs of answers; null without pairs
 */
public record StepRecord(
    long step,
    long tokens,
    double loss,
    double bitsPerByte,
    Double auxLoss,
    Double gradNorm,
    double learningRate,
    double tokensPerS,
    Double divergence,
    Double rewardMargin,
    Double pairAccuracy,
    Double validationBitsPerByte,
    Double validationLoss,
    Double validationRewardMargin,
    Double validationPairAccuracy,
    List<LayerRecord> layers) {

  public StepRecord {
    Require.that(step >= 1, "step is %s, expected 1 or more", step);
    layers = layers == null ? List.of() : List.copyOf(layers);
  }

  /**
   * An MoE layer in one step.
   *
   * @param dropRate share of the routes that exceeded the capacity
   * @param routerEntropy mean over the tokens, nats
   * @param counts routes to each expert, before dropping
   */
  public record LayerRecord(
      int layer, int experts, double dropRate, double routerEntropy, List<Long> counts) {

    public LayerRecord {
      counts = counts == null ? List.of() : List.copyOf(counts);
      if (counts.size() != experts) {
        throw Require.refusal(
            "layer %d has %d counts for %d experts", layer, counts.size(), experts);
      }
    }

    public long routes() {
      return counts.stream().mapToLong(Long::longValue).sum();
    }

    /** Routes to the expert with the most. */
    public long maxLoad() {
      return counts.isEmpty() ? 0 : Collections.max(counts);
    }

    /** The number of experts without a route. */
    public long deadExperts() {
      return counts.stream().filter(count -> count == 0).count();
    }

    /** Entropy over that of a uniform router, ln(experts); 1 with a single expert. */
    public double relativeEntropy() {
      return experts == 1 ? 1 : routerEntropy / Math.log(experts);
    }
  }
}

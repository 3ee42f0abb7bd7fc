package panamoe.harness.report;

import java.util.List;
import panamoe.io.Require;

/**
 * The values of one line of {@code metrics.jsonl} that the report needs.
 *
 * @param step from 1
 * @param tokens seen so far
 * @param bitsPerByte of the step's batch
 * @param divergence of a teacher, nats; null where none was asked
 * @param validationBitsPerByte null except after evaluation steps
 */
public record StepRecord(
    long step,
    long tokens,
    double loss,
    double bitsPerByte,
    double learningRate,
    double tokensPerS,
    Double divergence,
    Double validationBitsPerByte,
    List<LayerRecord> layers) {

  public StepRecord {
    Require.that(step >= 1, "step is %s, expected 1 or more", step);
    layers = layers == null ? List.of() : List.copyOf(layers);
  }

  /**
   * One MoE layer in one step.
   *
   * @param loadP50 tokens of the median expert
   * @param routerEntropy nats
   * @param counts routes to each expert, before dropping
   */
  public record LayerRecord(
      int layer,
      int experts,
      double loadP50,
      double loadP95,
      double loadMax,
      double dropRate,
      double deadExperts,
      double routerEntropy,
      List<Long> counts) {

    public LayerRecord {
      counts = counts == null ? List.of() : List.copyOf(counts);
      if (counts.size() != experts) {
        throw Require.refusal(
            "layer %d has %d counts for %d experts", layer, counts.size(), experts);
      }
    }
  }
}

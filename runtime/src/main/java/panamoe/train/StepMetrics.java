package panamoe.train;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * One line of {@code metrics.jsonl}.
 *
 * @param step from 1
 * @param tokens trained on so far
 * @param loss mean cross-entropy per token, or mean loss of the pairs of answers, nats
 * @param bitsPerByte cross-entropy of the text
 * @param gradientNorm before clipping
 * @param seconds the step's duration
 * @param layers the MoE layers' loads
 * @param divergence mean KL(teacher || model) per token, nats; only with a teacher
 * @param pairs null unless the model learns from pairs of answers
 * @param validation null except after evaluation steps
 */
public record StepMetrics(
    long step,
    long tokens,
    double loss,
    double bitsPerByte,
    double gradientNorm,
    double learningRate,
    double seconds,
    double tokensPerSecond,
    List<LayerLoad> layers,
    OptionalDouble divergence,
    PairMetrics pairs,
    Validation.Score validation) {

  /** Mean auxiliary loss over the MoE layers, before its coefficient; 0 in a dense model. */
  public double auxiliaryLoss() {
    return layers.stream().mapToDouble(LayerLoad::auxiliaryLoss).average().orElse(0);
  }

  /** Mean z loss over the MoE layers. */
  public double zLoss() {
    return layers.stream().mapToDouble(LayerLoad::zLoss).average().orElse(0);
  }

  public StepMetrics withValidation(Validation.Score score) {
    return new StepMetrics(
        step,
        tokens,
        loss,
        bitsPerByte,
        gradientNorm,
        learningRate,
        seconds,
        tokensPerSecond,
        layers,
        divergence,
        pairs,
        score);
  }

  /** This record as one line of JSON. */
  public String toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("step", step);
    json.put("tokens", tokens);
    json.put("loss", loss);
    json.put("bits_per_byte", bitsPerByte);
    divergence.ifPresent(nats -> json.put("divergence", nats));
    json.put("aux_loss", auxiliaryLoss());
    json.put("z_loss", zLoss());
    json.put("grad_norm", gradientNorm);
    json.put("learning_rate", learningRate);
    json.put("seconds", seconds);
    json.put("tokens_per_s", tokensPerSecond);
    put(json, "", pairs);
    if (validation != null) {
      json.put("validation_bits_per_byte", validation.bitsPerByte());
      if (validation.pairs() != null) {
        json.put("validation_loss", validation.pairs().loss());
      }
      put(json, "validation_", validation.pairs());
    }
    ArrayNode array = json.putArray("layers");
    for (LayerLoad load : layers) {
      ObjectNode layer = array.addObject();
      layer.put("layer", load.layer());
      layer.put("experts", load.experts());
      layer.put("load_p50", load.quantile(0.5));
      layer.put("load_p95", load.quantile(0.95));
      layer.put("load_max", load.quantile(1));
      layer.put("drop_rate", load.dropRate());
      layer.put("dead_experts", load.deadExperts());
      layer.put("router_entropy", load.routerEntropy());
      Arrays.stream(load.counts()).forEach(layer.putArray("counts")::add);
    }
    return json.toString();
  }

  private static void put(ObjectNode json, String prefix, PairMetrics pairs) {
    if (pairs != null) {
      json.put(prefix + "reward_margin", pairs.margin());
      json.put(prefix + "pair_accuracy", pairs.accuracy());
    }
  }
}

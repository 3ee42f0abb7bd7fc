package panamoe.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.io.ConfigJson;

/**
 * Configurations as earlier versions wrote them, brought into today's form before they are read.
 */
public final class EarlierForms {
  private EarlierForms() {}

  /** The gate's earlier form, in one level. */
  private record FlatGate(
      int topK,
      Score score,
      DropPolicy dropPolicy,
      double capacityFactor,
      double evaluationCapacityFactor,
      int minimumCapacity,
      QueueOrder queueOrder,
      Normalization normalization,
      GateConfig.Noise noise,
      boolean auxiliaryOverAllChoices,
      double auxiliaryCoefficient,
      double zCoefficient) {
    FlatGate {
      Require.size("topK", topK, GateConfig.MAX_TOP_K);
      Require.present("score", score);
      Require.present("dropPolicy", dropPolicy);
      Require.present("queueOrder", queueOrder);
      Require.present("normalization", normalization);
      Require.present("noise", noise);
      Require.positive("capacityFactor", capacityFactor);
      Require.positive("evaluationCapacityFactor", evaluationCapacityFactor);
      Require.notNegative("minimumCapacity", minimumCapacity);
      Require.notNegative("auxiliaryCoefficient", auxiliaryCoefficient);
      Require.notNegative("zCoefficient", zCoefficient);
    }

    GateConfig toConfig() {
      return new GateConfig(
          topK,
          false,
          score,
          GateConfig.Choice.with(noise),
          GateConfig.RouteWeight.of(normalization),
          new GateConfig.Capacity(
              dropPolicy, capacityFactor, evaluationCapacityFactor, minimumCapacity, queueOrder),
          new GateConfig.Loss(auxiliaryOverAllChoices, auxiliaryCoefficient, zCoefficient));
    }
  }

  /**
   * A layer's or a model's JSON whose attention says its {@code kind}, which was always
   * grouped-query, and whose capacities have no {@code priority}, which said what the policy
   * PRIORITY goes by: RANDOM numbers, or BEST_SCORE, today a policy.
   */
  public static JsonNode layer(JsonNode tree) {
    JsonNode copy = tree.deepCopy();
    for (JsonNode attention : copy.findValues("attention")) {
      if (attention instanceof ObjectNode object && !object.has("kind")) {
        object.put("kind", "GROUPED_QUERY");
      }
    }
    for (JsonNode found : copy.findParents("priority")) {
      ObjectNode capacity = (ObjectNode) found;
      String priority = capacity.get("priority").asText();
      boolean best = priority.equals(DropPolicy.BEST_SCORE.name());
      if (capacity.path("policy").asText().equals(DropPolicy.PRIORITY.name())
          && (best || priority.equals("RANDOM"))) {
        capacity.remove("priority");
        capacity.put("policy", (best ? DropPolicy.BEST_SCORE : DropPolicy.PRIORITY).name());
      }
    }
    return copy;
  }

  /**
   * A model's JSON in today's form. One that lists {@code experts} is a {@link UniformModel}, whose
   * gate may be in one level; any other is returned as {@link #layer} makes it.
   *
   * @param source what the tree was read from, for messages
   * @throws IllegalArgumentException with the source, the JSON path and what is wrong
   */
  public static JsonNode model(JsonNode tree, String source) {
    if (!(layer(tree) instanceof ObjectNode uniform) || !uniform.has("experts")) {
      return layer(tree);
    }
    if (uniform.path("gate").has("dropPolicy")) {
      GateConfig gate =
          ConfigJson.read(uniform.get("gate"), FlatGate.class, source + ", gate").toConfig();
      uniform.set("gate", ConfigJson.tree(gate));
    }
    return ConfigJson.tree(ConfigJson.read(uniform, UniformModel.class, source).toConfig());
  }

  /** The model of a JSON tree in any form; throws as {@link #model} does. */
  public static ModelConfig read(JsonNode tree, String source) {
    return ConfigJson.read(model(tree, source), ModelConfig.class, source);
  }

  /** The model of JSON text in any form; throws as {@link #model} does. */
  public static ModelConfig parse(String text, String source) {
    return read(ConfigJson.parse(text, JsonNode.class, source), source);
  }
}

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
   * A model's JSON in today's form. One that lists {@code experts} is a {@link UniformModel}, whose
   * gate may be in one level; any other is returned as it is.
   *
   * @param source what the tree was read from, for messages
   * @throws IllegalArgumentException with the source, the JSON path and what is wrong
   */
  public static JsonNode model(JsonNode tree, String source) {
    if (!(tree instanceof ObjectNode object) || !object.has("experts")) {
      return tree;
    }
    ObjectNode uniform = object.deepCopy();
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

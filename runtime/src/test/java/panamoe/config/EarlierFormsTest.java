package panamoe.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.io.ConfigJson;

/** Files as runs wrote them before models were composed block by block. */
class EarlierFormsTest {
  private static final JsonMapper JSON = new JsonMapper();

  @Test
  void aResidualPyramidOfOneLevel() throws IOException {
    UniformModel expected =
        new UniformModel(
            257,
            128,
            64,
            4,
            4,
            256,
            List.of(0, 8),
            true,
            GateConfig.dropless(1),
            Activation.GELU_TANH,
            NormConfig.Kind.LAYER,
            UniformModel.Positions.ROTARY,
            true,
            0.0875);
    assertEquals(expected.toConfig(), read(file("pr-moe.json")));
  }

  @Test
  void aDroppingGateOfOneLevel() throws IOException {
    ModelConfig model = read(file("deepspeed.json"));
    MoeConfig moe = (MoeConfig) model.blocks().get(1).feedForward();
    assertEquals(GateConfig.deepSpeed(2, 1.25, 4), moe.gate());
    assertEquals(EmbeddingConfig.Positions.LEARNED, model.embedding().positions());
  }

  @Test
  void aDenseModelWithoutAGate() throws IOException {
    ModelConfig model = read(file("dense.json"));
    assertEquals(List.of(0, 0), model.experts());
    assertEquals(model, read(ConfigJson.tree(model)));
  }

  @ParameterizedTest
  @CsvSource({"RANDOM, PRIORITY", "BEST_SCORE, BEST_SCORE"})
  void aPriorityBesideItsPolicy(String priority, DropPolicy expected) {
    JsonNode earlier = ConfigJson.tree(EveryPart.model());
    JsonNode today = earlier.deepCopy();
    for (JsonNode capacity : earlier.findParents("evaluationFactor")) {
      ((ObjectNode) capacity).put("policy", "PRIORITY").put("priority", priority);
    }
    for (JsonNode capacity : today.findParents("evaluationFactor")) {
      ((ObjectNode) capacity).put("policy", expected.name());
    }
    assertEquals(today, EarlierForms.model(earlier, "config.json"));
    assertEquals(read(today), read(earlier));
  }

  /** Attention had one kind, grouped-query, before it had several. */
  @Test
  void attentionWithoutAKind() {
    ModelConfig model = EveryPart.model();
    JsonNode earlier = ConfigJson.tree(model);
    for (JsonNode attention : earlier.findValues("attention")) {
      if (attention.path("kind").asText().equals("GROUPED_QUERY")) {
        ((ObjectNode) attention).remove("kind");
      }
    }
    assertEquals(model, read(earlier));
  }

  @Test
  void aPriorityBesideAnotherPolicyIsRefused() {
    JsonNode tree = ConfigJson.tree(EveryPart.model());
    for (JsonNode capacity : tree.findParents("evaluationFactor")) {
      ((ObjectNode) capacity).put("policy", "POSITION").put("priority", "BEST_SCORE");
    }
    String message = assertThrows(IllegalArgumentException.class, () -> read(tree)).getMessage();
    assertTrue(message.contains("priority"), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"experts\":[0,8] | \"experts\":[] | config.json: experts is empty",
        "\"heads\":4 | \"heads\":5 | config.json: hidden is 64, which 5 heads do not divide",
        "\"topK\":1 | \"topK\":17 | config.json, gate: topK is 17, expected 1 to 16",
        "\"noise\":\"NONE\", | | config.json, gate: at $.noise: this key is missing",
        "\"residual\":true | \"residual\":1 | config.json: at $.residual: expected true or false",
        "\"experts\":[0,8] | \"experts\":[0,8000] | config.json: layer 1 has 8000 experts",
      })
  void saysWhatIsWrongInTheFilesOwnKeys(String before, String after, String expected)
      throws IOException {
    String text = file("pr-moe.json").toString().replace(before, after == null ? "" : after);
    JsonNode changed = JSON.readTree(text);
    String message = assertThrows(IllegalArgumentException.class, () -> read(changed)).getMessage();
    assertEquals(expected, message.substring(0, Math.min(message.length(), expected.length())));
  }

  private static ModelConfig read(JsonNode model) {
    JsonNode today = EarlierForms.model(model, "config.json");
    return ConfigJson.read(today, ModelConfig.class, "config.json");
  }

  /** The model of a run's config.json. */
  private static JsonNode file(String name) throws IOException {
    try (InputStream in = EarlierFormsTest.class.getResourceAsStream("earlier/" + name)) {
      return JSON.readTree(in).path("model");
    }
  }
}

package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.ModelConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import panamoe.testkit.EveryNativeBackend;
import tools.jackson.databind.node.ObjectNode;

/** Small models whose attention has the widths of the released ones, on every backend. */
class ReleasedHeadsTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");

  /** Rows of 512 + 64 elements, and heads of 512. */
  private static final Map<String, Map<String, Integer>> WIDTHS =
      Map.of(
          "deepseek_v2_b_group", Map.of("kv_lora_rank", 512, "qk_rope_head_dim", 64),
          "glm4_moe_lite_b", Map.of("kv_lora_rank", 512, "qk_rope_head_dim", 64),
          "gemma4_c_moe", Map.of("global_head_dim", 512));

  private static ModelConfig model(String folder) throws IOException {
    Path file = RECORDED.resolve(folder).resolve("config.json");
    ObjectNode keys = ConfigJson.parse(Files.readString(file), ObjectNode.class, "config.json");
    WIDTHS.get(folder).forEach(keys::put);
    return Family.named(keys.get("model_type").stringValue())
        .orElseThrow()
        .model(new Keys(file, keys));
  }

  private static float[] logits(Backend backend, ModelConfig config, int[] tokens) {
    try (LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 5);
      model.pack(backend, DType.FLOAT32);
      return ModelRunner.nextLogits(backend, model, tokens);
    }
  }

  @EveryNativeBackend
  void logitsAreThoseOfTheReference(Backend backend) throws IOException {
    int[] tokens = new Random(3).ints(37, 0, 128).toArray();
    for (String folder : WIDTHS.keySet()) {
      ModelConfig config = model(folder);
      try (Backend reference = new ReferenceBackend()) {
        assertArrayEquals(
            logits(reference, config, tokens), logits(backend, config, tokens), 1e-4f, folder);
      }
    }
  }
}

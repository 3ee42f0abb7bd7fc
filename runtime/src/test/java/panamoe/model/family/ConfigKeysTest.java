package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.StoredType;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import tools.jackson.databind.node.ObjectNode;

/** Keys with other defaults in transformers are written. */
class ConfigKeysTest {
  private static final String DEEPSEEK =
      """
      {"hidden_size": 64, "intermediate_size": 96, "kv_lora_rank": 16, "max_position_embeddings": 128,
       "moe_intermediate_size": 32, "n_routed_experts": 8, "num_attention_heads": 4,
       "num_experts_per_tok": 2, "num_hidden_layers": 2, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
       "rope_theta": 10000, "v_head_dim": 8, "vocab_size": 100}
      """;

  private static final String GPT_OSS =
      """
      {"head_dim": 16, "hidden_size": 64, "intermediate_size": 32, "layer_types": ["full_attention"],
       "max_position_embeddings": 128, "num_attention_heads": 4, "num_experts_per_tok": 2,
       "num_hidden_layers": 1, "num_local_experts": 8, "vocab_size": 100}
      """;

  private static ObjectNode exported(String family, String keys) {
    ObjectNode values = ConfigJson.parse(keys, ObjectNode.class, "config.json");
    ModelConfig model =
        Family.named(family).orElseThrow().model(new Keys(Path.of("config.json"), values));
    ExportedModel exported = ExportedModel.of("it", model, Map.of(), Optional.empty(), null);
    assertEquals(family, exported.type());
    return exported.config(StoredType.F32);
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek_v2", "deepseek_v3"})
  void deepSeeksHaveRanksDenseLayersAndSharedExperts(String family) {
    ObjectNode keys = exported(family, DEEPSEEK);
    assertTrue(keys.path("q_lora_rank").isNull(), keys.toString());
    assertEquals("0", keys.path("first_k_dense_replace").toString());
    assertEquals("0", keys.path("n_shared_experts").toString());
  }

  @Test
  void gptOssHasYarn() {
    ObjectNode keys = exported("gpt_oss", GPT_OSS);
    assertEquals("{\"rope_type\":\"default\"}", keys.path("rope_scaling").toString());
  }
}

package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.TensorFiles;
import panamoe.config.DenseConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.io.ConfigJson;
import panamoe.tensor.DType;
import tools.jackson.databind.node.ObjectNode;

/** What the configurations of DeepSeek's released models mean. */
class DeepSeekFamilyTest {
  /** The keys of DeepSeek-V3 and R1. */
  private static final String V3 =
      """
      {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": false,
       "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": 3, "hidden_act": "silu",
       "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
       "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256,
       "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8,
       "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
       "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_theta": 10000,
       "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
                        "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096},
       "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false, "topk_group": 4,
       "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": true, "v_head_dim": 128,
       "vocab_size": 129280}
      """;

  /** The keys of DeepSeek-V2-Lite. */
  private static final String LITE =
      """
      {"architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "attention_bias": false,
       "aux_loss_alpha": 0.001, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048,
       "intermediate_size": 10944, "kv_lora_rank": 512, "max_position_embeddings": 163840,
       "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64,
       "n_shared_experts": 2, "norm_topk_prob": false, "num_attention_heads": 16, "num_experts_per_tok": 6,
       "num_hidden_layers": 27, "num_key_value_heads": 16, "pretraining_tp": 1, "q_lora_rank": null,
       "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_theta": 10000,
       "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707,
                        "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096},
       "routed_scaling_factor": 1.0, "scoring_func": "softmax", "seq_aux": true, "topk_group": 1,
       "topk_method": "greedy", "v_head_dim": 128, "vocab_size": 102400}
      """;

  private static ModelConfig model(String json) {
    ObjectNode values = ConfigJson.parse(json, ObjectNode.class, "config.json");
    Keys keys = new Keys(Path.of("config.json"), values);
    String type = values.get("model_type").asString();
    ModelConfig config = Family.named(type).orElseThrow().model(keys);
    keys.requireAllRead();
    return config;
  }

  @Test
  void versionThree() {
    ModelConfig model = model(V3);
    LatentAttentionConfig attention = (LatentAttentionConfig) model.blocks().getLast().attention();
    assertEquals(new LatentAttentionConfig.Heads(128, 128, 128), attention.heads());
    assertEquals(new LatentAttentionConfig.Ranks(1536, 512), attention.ranks());
    assertEquals(Rotary.Pairs.ADJACENT, attention.rotary().pairs());
    assertEquals(1, attention.rotary().scalingOrNone().amplitude());
    assertEquals(1.8739, attention.scale() * Math.sqrt(192), 1e-4);
    // 576 values a token and layer, where keys and values of all heads would be 40,960.
    assertEquals(576 * 2, attention.cacheRow(1).bytes(DType.BFLOAT16));
    assertTrue(model.blocks().get(2).feedForward() instanceof DenseConfig);
    MoeConfig moe = (MoeConfig) model.blocks().get(3).feedForward();
    assertEquals(new MoeConfig.SharedExpert(2048, false), moe.shared());
    assertEquals(Score.SIGMOID, moe.gate().score());
    assertEquals(GroupScore.TOP2_SUM, moe.gate().choice().groupScore());
    assertEquals(4, moe.gate().choice().chosenGroups());
    assertTrue(moe.gate().choice().correctionBias());
    assertEquals(Normalization.CHOSEN, moe.gate().weight().normalization());
    assertEquals(2.5, moe.gate().weight().scale());
  }

  @Test
  void versionTwoLite() {
    ModelConfig model = model(LITE);
    LatentAttentionConfig attention = (LatentAttentionConfig) model.blocks().getFirst().attention();
    assertNull(attention.ranks().query());
    assertEquals(1.5896, attention.scale() * Math.sqrt(192), 1e-4);
    assertTrue(attention.rotary().scaling() instanceof RotaryScaling.Yarn);
    MoeConfig moe = (MoeConfig) model.blocks().get(1).feedForward();
    assertEquals(new MoeConfig.SharedExpert(2816, false), moe.shared());
    assertEquals(Score.SOFTMAX, moe.gate().score());
    assertEquals(1, moe.gate().choice().groups());
    assertEquals(Normalization.RAW, moe.gate().weight().normalization());
    assertNull(
        ((LatentAttentionConfig) model(plain(LITE)).blocks().getFirst().attention()).scale());
  }

  /** Scales of attention grow with stretched positions alone. */
  @Test
  void positionsThatAreNotStretched() {
    String plain = V3.replace("\"type\": \"yarn\"", "\"type\": \"default\"");
    String message = assertThrows(CheckpointException.class, () -> model(plain)).getMessage();
    assertTrue(message.contains("rope_scaling.mscale_all_dim"), message);
  }

  private static String plain(String json) {
    int from = json.indexOf("\"rope_scaling\"");
    return json.substring(0, from) + json.substring(json.indexOf("},", from) + 2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"noaux_tc\" | \"greedy\" | topk_method is \"greedy\", expected noaux_tc",
        "\"attention_bias\": false | \"attention_bias\": true | attention_bias is true",
        "\"moe_layer_freq\": 1 | \"moe_layer_freq\": 2 | moe_layer_freq is 2",
        "\"v_head_dim\": 128 | \"v_head_dim\": 0 | v_head_dim is 0, expected a whole number from 1",
        "\"use_cache\": true | \"index_topk\": 64 | index_topk, which is not known here",
      })
  void whatIsNotKnownIsRefused(String before, String after, String expected) {
    String message =
        assertThrows(CheckpointException.class, () -> model(V3.replace(before, after)))
            .getMessage();
    assertTrue(message.contains(expected), message);
  }

  /** Heads of the files that are longer than the configuration's: rows between would be lost. */
  @Test
  void everyRowOfAHeadHasAMeaning(@TempDir Path folder) throws IOException {
    Path recorded = Path.of("..", "lab", "golden", "hf");
    for (String file : new String[] {"config.json", "model.safetensors"}) {
      Files.copy(recorded.resolve("deepseek_v3_a").resolve(file), folder.resolve(file));
    }
    assertEquals(List.of(), mismatches(folder));
    Path config = folder.resolve("config.json");
    String shorter =
        Files.readString(config).replaceFirst("\"v_head_dim\": \\d+", "\"v_head_dim\": 8");
    Files.writeString(config, shorter);
    String all = mismatches(folder).getFirst();
    assertTrue(all.contains("self_attn.kv_b_proj.weight has "), all);
  }

  private static List<String> mismatches(Path folder) {
    ReleasedModel model = ReleasedModel.of(HuggingFaceFolder.of(folder).orElseThrow());
    try (TensorFiles files = model.open()) {
      model.sources(files);
      return List.of();
    } catch (CheckpointException e) {
      return List.of(e.getMessage());
    }
  }

  /** Layer 61 of V3's files predicts a token further on; it is left out, not refused. */
  @Test
  void layersBehindTheLastAreLeftOut() {
    Set<String> tensors =
        Set.of(
            "model.layers.60.self_attn.o_proj.weight",
            "model.layers.61.self_attn.o_proj.weight",
            "model.layers.61.eh_proj.weight",
            "model.layers.x.eh_proj.weight",
            "model.norm.weight");
    assertEquals(
        List.of("model.layers.61.eh_proj.weight", "model.layers.61.self_attn.o_proj.weight"),
        new DeepSeekV3().recipes().leftOut(model(V3), tensors));
    assertEquals(List.of(), new DeepSeekV2().recipes().leftOut(model(V3), tensors));
  }
}

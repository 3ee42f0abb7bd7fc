package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.ConfigJson;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The configurations of Switch Transformers. */
class SwitchTest {
  /** The keys of the released models, with 128 experts. */
  private static final String BASE =
      """
      {"architectures": ["SwitchTransformersForConditionalGeneration"], "d_ff": 3072, "d_kv": 64,
       "d_model": 768, "decoder_sparse_step": 2, "decoder_start_token_id": 0, "dense_act_fn": "relu",
       "dropout_rate": 0.1, "encoder_sparse_step": 2, "eos_token_id": 1, "expert_capacity": 64,
       "initializer_factor": 1.0, "is_encoder_decoder": true, "layer_norm_epsilon": 1e-06,
       "model_type": "switch_transformers", "num_decoder_layers": 12, "num_experts": 128,
       "num_heads": 12, "num_layers": 12, "num_sparse_decoder_layers": 6,
       "num_sparse_encoder_layers": 6, "pad_token_id": 0, "relative_attention_max_distance": 128,
       "relative_attention_num_buckets": 32, "router_aux_loss_coef": 0.001, "router_bias": false,
       "router_dtype": "float32", "router_ignore_padding_tokens": false, "router_z_loss_coef": 0.001,
       "torch_dtype": "float32", "use_cache": true, "vocab_size": 32128}
      """;

  private static ModelConfig model(Map<String, Object> changed) {
    ObjectNode values = ConfigJson.parse(BASE, ObjectNode.class, "config.json");
    changed.forEach((key, value) -> values.set(key, JsonMapper.shared().valueToTree(value)));
    Keys keys = new Keys(Path.of("config.json"), values);
    ModelConfig model = new Switch().model(keys);
    keys.requireAllRead();
    return model;
  }

  @Test
  void keysMeanTheModel() {
    ModelConfig model = model(Map.of());
    assertEquals(512, model.context());
    assertEquals(new EmbeddingConfig.Relative(32, 128), model.embedding().relative());
    assertEquals(new HeadConfig(true, false, 1 / Math.sqrt(768)), model.head());
    List<Integer> everySecond = List.of(0, 128, 0, 128, 0, 128, 0, 128, 0, 128, 0, 128);
    assertEquals(everySecond, model.experts());
    assertEquals(0, model.encoder().startToken());
    MoeConfig moe = (MoeConfig) model.encoder().blocks().get(11).feedForward();
    assertEquals(128, moe.experts());
    assertEquals(Activation.RELU, moe.activation());
    assertEquals(64, moe.gate().capacity(1000, 128, false));
    GroupedQueryConfig attention = (GroupedQueryConfig) model.blocks().getFirst().attention();
    assertEquals(1.0f, attention.settings().scale());
    // The encoder's experts do not drop either.
    ModelConfig dropless = model.withGates(GateConfig::withoutDropping);
    MoeConfig served = (MoeConfig) dropless.encoder().blocks().get(1).feedForward();
    assertEquals(GateConfig.dropless(1).capacity().policy(), served.gate().capacity().policy());
  }

  /** A folder without its class in transformers is exported with it. */
  @Test
  void anExportSaysTheClass() {
    ObjectNode values = ConfigJson.parse(BASE, ObjectNode.class, "config.json");
    values.remove("architectures");
    ExportedModel exported =
        ExportedModel.of("a model", model(Map.of()), Map.of(), Optional.of(values), null);
    assertEquals(
        "SwitchTransformersForConditionalGeneration",
        exported.config(StoredType.F32).at("/architectures/0").asString());
  }

  private static void refused(String part, String key, Object value) {
    String message =
        assertThrows(CheckpointException.class, () -> model(Map.of(key, value))).getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void aHeadOfItsOwnIsNotScaled() {
    assertEquals(new HeadConfig(false, false), model(Map.of("tie_word_embeddings", false)).head());
  }

  @Test
  void sparseLayersFollowTheirStep() {
    ModelConfig model = model(Map.of("encoder_sparse_step", 1, "decoder_sparse_step", 4));
    assertEquals(12, model.encoder().blocks().stream().filter(b -> b.experts() == 128).count());
    assertEquals(List.of(0, 128, 0, 0, 0, 128, 0, 0, 0, 128, 0, 0), model.experts());
  }

  @Test
  void whatNoModelHereHasIsRefused() {
    refused("router_dtype is \"bfloat16\"", "router_dtype", "bfloat16");
    refused("is_gated_act is true", "is_gated_act", true);
    refused("dense_act_fn is \"gelu\"", "dense_act_fn", "gelu");
    refused("num_selected_experts is 2", "num_selected_experts", 2);
    refused("is_encoder_decoder is false", "is_encoder_decoder", false);
    refused("num_layers is 5000, expected at most 1024", "num_layers", 5000);
    refused("has new_trick, which is not known here", "new_trick", 1);
    refused("decoder_sparse_step is 0, expected a whole number from 1", "decoder_sparse_step", 0);
  }
}

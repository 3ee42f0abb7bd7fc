package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import tools.jackson.databind.node.ObjectNode;

/** Family: the keys of published models are known, and give as many parameters as published. */
class PublishedConfigsTest {
  /** Keys that most files have. */
  private static final String COMMON =
      """
      "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
      "initializer_range": 0.02, "torch_dtype": "bfloat16", "transformers_version": "4.51.0",
      "use_cache": true, "rope_theta": 1000000.0""";

  private static final String LLAMA3_ROPE =
      """
      "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"}""";

  private static String keys(String name) {
    return switch (name) {
      case "Llama-3.1-8B" ->
          sizes("llama", 4096, 14336, 32, 32, 8, 131072, 128256)
              + ", \"attention_bias\": false, \"mlp_bias\": false, \"pretraining_tp\": 1,"
              + " \"rms_norm_eps\": 1e-05, \"tie_word_embeddings\": false, "
              + LLAMA3_ROPE;
      case "Mistral-7B-v0.3" ->
          sizes("mistral", 4096, 14336, 32, 32, 8, 32768, 32768)
              + ", \"rms_norm_eps\": 1e-05, \"sliding_window\": null, \"tie_word_embeddings\": false";
      case "Qwen2.5-7B" ->
          sizes("qwen2", 3584, 18944, 28, 28, 4, 131072, 152064)
              + ", \"max_window_layers\": 28, \"rms_norm_eps\": 1e-06, \"sliding_window\": 131072,"
              + " \"tie_word_embeddings\": false, \"use_mrope\": false, \"use_sliding_window\": false";
      case "Qwen3-0.6B" ->
          sizes("qwen3", 1024, 3072, 28, 16, 8, 40960, 151936)
              + ", \"attention_bias\": false, \"head_dim\": 128, \"max_window_layers\": 28,"
              + " \"rms_norm_eps\": 1e-06, \"rope_scaling\": null, \"sliding_window\": null,"
              + " \"tie_word_embeddings\": true, \"use_sliding_window\": false";
      case "OLMo-2-7B" ->
          sizes("olmo2", 4096, 11008, 32, 32, 32, 4096, 100352)
              + ", \"attention_bias\": false, \"pad_token_id\": 100277, \"rms_norm_eps\": 1e-06,"
              + " \"rope_scaling\": null, \"tie_word_embeddings\": false";
      case "SmolLM3-3B" ->
          sizes("smollm3", 2048, 11008, 36, 16, 4, 65536, 128256)
              + ", \"attention_bias\": false, \"max_window_layers\": 28, \"mlp_bias\": false,"
              + " \"no_rope_layer_interval\": 4, \"no_rope_layers\": ["
              + "1, 1, 1, 0, ".repeat(8)
              + "1, 1, 1, 0], \"pretraining_tp\": 2, \"rms_norm_eps\": 1e-06,"
              + " \"rope_scaling\": null, \"sliding_window\": null, \"use_sliding_window\": false";
      case "Phi-3.5-mini" ->
          sizes("phi3", 3072, 8192, 32, 32, 32, 131072, 32064)
              + ", \"attention_bias\": false, \"auto_map\": {}, \"embd_pdrop\": 0.0,"
              + " \"original_max_position_embeddings\": 4096, \"resid_pdrop\": 0.0,"
              + " \"rms_norm_eps\": 1e-05, \"rope_scaling\": {\"type\": \"longrope\","
              + " \"short_factor\": ["
              + "1.1, ".repeat(47)
              + "2.0], \"long_factor\": ["
              + "1.5, ".repeat(47)
              + "60.0]}, \"sliding_window\": 262144, \"tie_word_embeddings\": false";
      case "GLM-4.5-Air" ->
          sizes("glm4_moe", 4096, 10944, 46, 96, 8, 131072, 151552)
              + ", \"attention_bias\": true, \"first_k_dense_replace\": 1, \"head_dim\": 128,"
              + " \"moe_intermediate_size\": 1408, \"n_group\": 1, \"n_routed_experts\": 128,"
              + " \"n_shared_experts\": 1, \"norm_topk_prob\": true, \"num_experts_per_tok\": 8,"
              + " \"num_nextn_predict_layers\": 1, \"partial_rotary_factor\": 0.5,"
              + " \"rms_norm_eps\": 1e-05, \"rope_scaling\": null, \"routed_scaling_factor\": 1.0,"
              + " \"tie_word_embeddings\": false, \"topk_group\": 1, \"use_qk_norm\": false";
      case "Phi-3.5-MoE" ->
          sizes("phimoe", 4096, 6400, 32, 32, 8, 131072, 32064)
              + ", \"attention_bias\": true, \"auto_map\": {}, \"hidden_dropout\": 0.0,"
              + " \"input_jitter_noise\": 0.01, \"lm_head_bias\": true,"
              + " \"num_experts_per_tok\": 2, \"num_local_experts\": 16,"
              + " \"original_max_position_embeddings\": 4096, \"output_router_logits\": false,"
              + " \"rms_norm_eps\": 1e-05, \"rope_scaling\": {\"type\": \"longrope\","
              + " \"long_mscale\": 1.243163121016122, \"short_mscale\": 1.243163121016122,"
              + " \"original_max_position_embeddings\": 4096, \"short_factor\": ["
              + "1.0, ".repeat(63)
              + "2.0], \"long_factor\": ["
              + "1.5, ".repeat(63)
              + "60.0]}, \"router_aux_loss_coef\": 0.0, \"router_jitter_noise\": 0.01,"
              + " \"sliding_window\": 131072, \"tie_word_embeddings\": false";
      case "Granite-3.1-2B" ->
          sizes("granite", 2048, 8192, 40, 32, 8, 131072, 49155)
              + ", \"attention_bias\": false, \"attention_multiplier\": 0.015625,"
              + " \"embedding_multiplier\": 12.0, \"logits_scaling\": 8.0, \"mlp_bias\": false,"
              + " \"residual_multiplier\": 0.22, \"rms_norm_eps\": 1e-05,"
              + " \"rope_scaling\": null, \"tie_word_embeddings\": true";
      case "Granite-3.0-1B-A400M" ->
          sizes("granitemoe", 1024, 512, 24, 16, 8, 4096, 49155)
              + ", \"attention_bias\": false, \"attention_multiplier\": 0.015625,"
              + " \"embedding_multiplier\": 12.0, \"logits_scaling\": 6.0, \"mlp_bias\": false,"
              + " \"num_experts_per_tok\": 8, \"num_local_experts\": 32,"
              + " \"output_router_logits\": false, \"residual_multiplier\": 0.22,"
              + " \"rms_norm_eps\": 1e-06, \"rope_scaling\": null,"
              + " \"router_aux_loss_coef\": 0.0, \"tie_word_embeddings\": true";
      case "Gemma-2-2B" ->
          gemma("gemma2", 2304, 9216, 8, 4, 8192, 256000)
              + ", \"attn_logit_softcapping\": 50.0, \"final_logit_softcapping\": 30.0,"
              + " \"hidden_act\": \"gelu_pytorch_tanh\", \"sliding_window\": 4096";
      case "Gemma-3-1B" ->
          gemma("gemma3_text", 1152, 6912, 4, 1, 32768, 262144)
              + ", \"attn_logit_softcapping\": null, \"final_logit_softcapping\": null,"
              + " \"rope_local_base_freq\": 10000, \"rope_scaling\": null,"
              + " \"sliding_window\": 512, \"sliding_window_pattern\": 6";
      case "Gemma-4-26B-A4B" ->
          sizes("gemma4_text", 2816, 2112, 30, 16, 8, 262144, 262144)
                  .replace(
                      "\"hidden_act\": \"silu\"", "\"hidden_activation\": \"gelu_pytorch_tanh\"")
                  .replace(", \"rope_theta\": 1000000.0", "")
              + ", \"attention_bias\": false, \"attention_k_eq_v\": true,"
              + " \"enable_moe_block\": true, \"final_logit_softcapping\": 30.0,"
              + " \"global_head_dim\": 512, \"head_dim\": 256,"
              + " \"hidden_size_per_layer_input\": 0, \"layer_types\": ["
              + ("\"sliding_attention\", ".repeat(5) + "\"full_attention\", ").repeat(4)
              + "\"sliding_attention\", ".repeat(5)
              + "\"full_attention\"], \"moe_intermediate_size\": 704, \"num_experts\": 128,"
              + " \"num_global_key_value_heads\": 2, \"num_kv_shared_layers\": 0,"
              + " \"pad_token_id\": 0, \"rms_norm_eps\": 1e-06, \"rope_parameters\": {"
              + "\"full_attention\": {\"partial_rotary_factor\": 0.25, \"rope_theta\": 1000000.0,"
              + " \"rope_type\": \"proportional\"}, \"sliding_attention\": {"
              + "\"rope_theta\": 10000.0, \"rope_type\": \"default\"}}, \"sliding_window\": 1024,"
              + " \"tie_word_embeddings\": true, \"top_k_experts\": 8,"
              + " \"use_bidirectional_attention\": \"vision\", \"use_double_wide_mlp\": false,"
              + " \"vocab_size_per_layer_input\": 262144";
      case "Gemma-3-4B" ->
          "\"architectures\": [\"Gemma3ForConditionalGeneration\"], \"boi_token_index\": 255999,"
              + " \"eoi_token_index\": 256000, \"eos_token_id\": [1, 106],"
              + " \"image_token_index\": 262144, \"initializer_range\": 0.02,"
              + " \"mm_tokens_per_image\": 256, \"model_type\": \"gemma3\", \"text_config\": {"
              + "\"hidden_size\": 2560, \"intermediate_size\": 10240,"
              + " \"model_type\": \"gemma3_text\", \"num_hidden_layers\": 34,"
              + " \"rope_scaling\": {\"factor\": 8.0, \"rope_type\": \"linear\"},"
              + " \"sliding_window\": 1024}, \"torch_dtype\": \"bfloat16\","
              + " \"transformers_version\": \"4.50.0.dev0\", \"vision_config\": {}";
      case "Llama-4-Maverick" ->
          "\"architectures\": [\"Llama4ForConditionalGeneration\"], \"boi_token_index\": 200080,"
              + " \"eoi_token_index\": 200081, \"image_token_index\": 200092,"
              + " \"model_type\": \"llama4\", \"tie_word_embeddings\": false, \"text_config\": {"
              + sizes("llama4_text", 5120, 8192, 48, 40, 8, 1048576, 202048)
                  .replace("1000000.0", "500000.0")
              + ", \"_attn_implementation_autoset\": true, \"attention_bias\": false,"
              + " \"attention_chunk_size\": 8192, \"attn_scale\": 0.1,"
              + " \"attn_temperature_tuning\": 4, \"cache_implementation\": \"hybrid\","
              + " \"floor_scale\": 8192, \"for_llm_compressor\": false, \"head_dim\": 128,"
              + " \"interleave_moe_layer_step\": 2, \"intermediate_size_mlp\": 16384,"
              + " \"no_rope_layers\": [], \"num_experts_per_tok\": 1,"
              + " \"num_local_experts\": 128, \"output_router_logits\": false,"
              + " \"pad_token_id\": 200018, \"rms_norm_eps\": 1e-05, \"rope_scaling\": null,"
              + " \"router_aux_loss_coef\": 0.001, \"router_jitter_noise\": 0.0,"
              + " \"use_qk_norm\": false}, \"torch_dtype\": \"bfloat16\","
              + " \"vision_config\": {}";
      case "Mistral-Small-3.1" ->
          "\"architectures\": [\"Mistral3ForConditionalGeneration\"],"
              + " \"image_token_index\": 10, \"model_type\": \"mistral3\","
              + " \"multimodal_projector_bias\": false, \"projector_hidden_act\": \"gelu\","
              + " \"spatial_merge_size\": 2, \"text_config\": {"
              + sizes("mistral", 5120, 32768, 40, 32, 8, 131072, 131072)
                  .replace("1000000.0", "1000000000.0")
              + ", \"head_dim\": 128, \"rms_norm_eps\": 1e-05, \"sliding_window\": null},"
              + " \"torch_dtype\": \"bfloat16\", \"vision_config\": {},"
              + " \"vision_feature_layer\": -1";
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static String gemma(
      String type,
      int hidden,
      int inner,
      int heads,
      int keyValueHeads,
      int context,
      int vocabulary) {
    return sizes(type, hidden, inner, 26, heads, keyValueHeads, context, vocabulary)
            .replace("\"hidden_act\": \"silu\"", "\"hidden_activation\": \"gelu_pytorch_tanh\"")
        + ", \"attention_bias\": false, \"cache_implementation\": \"hybrid\", \"head_dim\": 256,"
        + " \"pad_token_id\": 0, \"query_pre_attn_scalar\": 256, \"rms_norm_eps\": 1e-06";
  }

  private static String sizes(
      String type,
      int hidden,
      int inner,
      int layers,
      int heads,
      int keyValueHeads,
      int context,
      int vocabulary) {
    return COMMON.formatted()
        + ", \"model_type\": \"%s\", \"hidden_size\": %d, \"intermediate_size\": %d, "
            .formatted(type, hidden, inner)
        + "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"num_key_value_heads\": %d, "
            .formatted(layers, heads, keyValueHeads)
        + "\"max_position_embeddings\": %d, \"vocab_size\": %d".formatted(context, vocabulary);
  }

  @ParameterizedTest
  @CsvSource({
    "Llama-3.1-8B, 8030",
    "Mistral-7B-v0.3, 7248",
    "Qwen2.5-7B, 7616",
    "Qwen3-0.6B, 596",
    "OLMo-2-7B, 7299",
    "SmolLM3-3B, 3075",
    "Phi-3.5-mini, 3821",
    "GLM-4.5-Air, 106852",
    "Phi-3.5-MoE, 41873",
    "Granite-3.1-2B, 2534",
    "Granite-3.0-1B-A400M, 1335",
    "Gemma-2-2B, 2614",
    "Gemma-3-1B, 1000",
    "Gemma-4-26B-A4B, 25233",
    "Gemma-3-4B, 3880",
    "Llama-4-Maverick, 400712",
    "Mistral-Small-3.1, 23572"
  })
  void everyKeyIsKnown(String name, long millions) {
    ObjectNode whole = ConfigJson.parse("{" + keys(name) + "}", ObjectNode.class, "config.json");
    ObjectNode values = TextPart.of(Path.of("config.json"), whole).values();
    Keys keys = new Keys(Path.of("config.json"), values);
    ModelConfig config =
        Family.named(values.get("model_type").stringValue()).orElseThrow().model(keys);
    keys.requireAllRead();
    try (LanguageModel model = new LanguageModel(config)) {
      assertEquals(millions, Math.round(model.parameters().count() / 1e6));
    }
  }
}

package panamoe.model.family;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufMetadata;
import panamoe.config.ModelConfig;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Translates a GGUF file's metadata to the {@code config.json} of its family, including what an
 * architecture fixes without a key, such as whether weights are normalised. Every key that begins
 * with the architecture's name is read, known to mean nothing, or refused. Used by one thread.
 */
final class GgufKeys extends ArchitectureKeys {
  /** The families of the known architectures; DeepSeek's is the one with softmax. */
  private static final Map<String, String> FAMILIES =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("deepseek2", "deepseek_v2"),
              Map.entry("dots1", "dots1"),
              Map.entry("ernie4_5-moe", "ernie4_5_moe"),
              Map.entry("gemma2", "gemma2"),
              Map.entry("gemma3", "gemma3_text"),
              Map.entry("gemma4", "gemma4_text"),
              Map.entry("glm4moe", "glm4_moe"),
              Map.entry("gpt-oss", "gpt_oss"),
              Map.entry("granite", "granite"),
              Map.entry("granitemoe", "granitemoe"),
              Map.entry("hunyuan-moe", "hunyuan_v1_moe"),
              Map.entry("llama", "mixtral"),
              Map.entry("llama4", "llama4_text"),
              Map.entry("minimax-m2", "minimax_m2"),
              Map.entry("olmo2", "olmo2"),
              Map.entry("olmoe", "olmoe"),
              Map.entry("phi3", "phi3"),
              Map.entry("phimoe", "phimoe"),
              Map.entry("qwen2", "qwen2"),
              Map.entry("qwen2moe", "qwen2_moe"),
              Map.entry("qwen3", "qwen3"),
              Map.entry("qwen3moe", "qwen3_moe"),
              Map.entry("smollm3", "smollm3")));

  /** Families without an architecture of their own, by the one whose files are theirs too. */
  private static final Map<String, String> ALIKE =
      Map.of(
          "deepseek_v3", "deepseek_v2",
          "glm4_moe_lite", "deepseek_v2",
          "granitemoeshared", "granitemoe",
          "llama", "mixtral",
          "mistral", "mixtral");

  /** Architectures whose head may be tied to the embedding. */
  private static final Set<String> MAY_TIE =
      Set.of(
          "deepseek2",
          "ernie4_5-moe",
          "gemma2",
          "gemma3",
          "gemma4",
          "glm4moe",
          "granite",
          "granitemoe",
          "hunyuan-moe",
          "llama",
          "llama4",
          "phi3",
          "qwen2",
          "qwen3",
          "qwen3moe",
          "smollm3");

  /** Architectures without experts, or with few files that have some. */
  private static final Set<String> MAY_BE_DENSE =
      Set.of(
          "gemma2", "gemma3", "gemma4", "granite", "llama", "olmo2", "phi3", "qwen2", "qwen3",
          "smollm3");

  /** Architectures that may rotate only a part of each head. */
  private static final Set<String> MAY_ROTATE_PARTS = Set.of("glm4moe", "minimax-m2", "phi3");

  private final ObjectNode keys = JsonNodeFactory.instance.objectNode();

  /**
   * The keys of {@code config.json}, and keys of the file without meaning here.
   *
   * @param unread whole names
   */
  record Read(ObjectNode keys, Set<String> unread) {}

  private GgufKeys(GgufMetadata metadata, Map<String, StoredTensor> tensors) {
    super(metadata, tensors, architecture(metadata));
  }

  /** The architecture of a family's files; empty if it has none. */
  static Optional<String> architecture(Family family) {
    String type = ALIKE.getOrDefault(family.type(), family.type());
    return FAMILIES.entrySet().stream()
        .filter(entry -> entry.getValue().equals(type))
        .map(Map.Entry::getKey)
        .findFirst();
  }

  /** The architecture of a file; it must be known. */
  static String architecture(GgufMetadata metadata) {
    String architecture = metadata.text("general.architecture");
    Family.refuseEncoder(metadata.path(), "general.architecture", architecture);
    requireArchitecture(architecture, metadata.path().toString());
    return architecture;
  }

  static void requireArchitecture(String architecture, String source) {
    if (!FAMILIES.containsKey(architecture)) {
      throw new CheckpointException(
          "%s: general.architecture is %s, expected one of %s",
          source, Keys.shown(architecture), String.join(", ", FAMILIES.keySet()));
    }
  }

  /**
   * The keys of {@code config.json}, {@code model_type} among them.
   *
   * @throws CheckpointException if a key is missing or unknown, or its value is not supported
   */
  static ObjectNode of(GgufFile file) {
    RopeFactors factors = RopeFactors.of(file, architecture(file.metadata()));
    return read(file.metadata(), file.tensors(), factors, true).keys();
  }

  /**
   * Reads the keys of {@code config.json} from a file's metadata.
   *
   * @param strict whether to refuse an unknown key
   */
  static Read read(
      GgufMetadata metadata,
      Map<String, StoredTensor> tensors,
      RopeFactors factors,
      boolean strict) {
    GgufKeys keys = new GgufKeys(metadata, tensors);
    keys.putModel();
    if (keys.architecture.equals("gemma4")) {
      new GgufGemma(keys, keys.keys).putKinds(factors);
    } else {
      if (keys.architecture.equals("deepseek2")) {
        keys.putLatentAttention();
      } else {
        keys.putAttention();
      }
      keys.putRotary(factors);
    }
    if (keys.has("expert_count") || !MAY_BE_DENSE.contains(keys.architecture)) {
      GgufExperts.put(keys, keys.keys);
    } else {
      keys.putDense();
    }
    if (keys.architecture.startsWith("granite")) {
      keys.putFactors();
    }
    if (strict) {
      keys.requireAllRead();
    }
    return new Read(keys.keys, keys.unread());
  }

  private void putModel() {
    if (!flag("attention.causal", true)) {
      throw bad("attention.causal is false, expected true: a token sees none after it");
    }
    int layers = count("block_count", 1, ModelConfig.MAX_LAYERS);
    if (architecture.equals("glm4moe")) {
      layers -= mayCount("nextn_predict_layers", layers - 1); // of multi-token prediction
    }
    String last = "blk." + (layers - 1) + ".";
    if (tensors.keySet().stream().noneMatch(name -> name.startsWith(last))) {
      throw bad("block_count is " + layers + ", but the file holds fewer layers");
    }
    keys.put("model_type", FAMILIES.get(architecture))
        .put("hidden_size", count("embedding_length"))
        .put("num_hidden_layers", layers)
        .put("num_attention_heads", count("attention.head_count"))
        .put("max_position_embeddings", count("context_length"))
        .put("rms_norm_eps", number("attention.layer_norm_rms_epsilon"))
        .put("vocab_size", count("vocab_size", rows("token_embd.weight")))
        .put(
            "tie_word_embeddings",
            MAY_TIE.contains(architecture) && !tensors.containsKey("output.weight"));
  }

  private void putAttention() {
    int heads = count("attention.head_count");
    int size = count("attention.key_length", Math.max(1, count("embedding_length") / heads));
    only("attention.value_length", size);
    if (MAY_ROTATE_PARTS.contains(architecture)) {
      keys.put("partial_rotary_factor", (double) count("rope.dimension_count", size) / size);
    } else {
      only("rope.dimension_count", size);
    }
    keys.put("num_key_value_heads", count("attention.head_count_kv", heads)).put("head_dim", size);
    boolean biased = hasTensor("attn_q.bias");
    switch (architecture) {
      case "dots1", "glm4moe", "granite", "granitemoe", "hunyuan-moe" ->
          keys.put("attention_bias", biased);
      case "ernie4_5-moe" -> keys.put("use_bias", biased);
      case "phi3", "phimoe" -> {
        if (has("attention.sliding_window")) {
          keys.put("sliding_window", count("attention.sliding_window"));
        }
        keys.put("attention_bias", biased);
      }
      case "llama4" -> putChunks();
      default -> {}
    }
    if (architecture.equals("glm4moe")) {
      keys.put("use_qk_norm", hasTensor("attn_q_norm.weight"));
    }
  }

  /** llama.cpp has Llama 4's chunks in three of four layers, which have the same positions. */
  private void putChunks() {
    only("attention.sliding_window", 8192);
    only("attention.sliding_window_pattern", 4);
    only("rope.freq_base_swa", number("rope.freq_base", 10_000));
  }

  /**
   * Older files have the sizes of heads under keys that hold the size of cached rows in newer ones.
   */
  private void putLatentAttention() {
    boolean newer = has("attention.key_length_mla");
    int latent = count("attention.kv_lora_rank");
    int rotated = count("rope.dimension_count");
    int key = count(newer ? "attention.key_length_mla" : "attention.key_length");
    if (newer) {
      only("attention.key_length", latent + rotated);
      only("attention.value_length", latent);
    }
    only("attention.head_count_kv", newer ? 1 : count("attention.head_count"));
    if (key <= rotated) {
      throw bad("rope.dimension_count is " + rotated + ", of keys of only " + key);
    }
    if (has("attention.q_lora_rank")) {
      keys.put("q_lora_rank", count("attention.q_lora_rank"));
    }
    keys.put("kv_lora_rank", latent)
        .put("qk_rope_head_dim", rotated)
        .put("qk_nope_head_dim", key - rotated)
        .put("v_head_dim", count(newer ? "attention.value_length_mla" : "attention.value_length"));
  }

  private void putRotary(RopeFactors factors) {
    keys.put("rope_theta", number("rope.freq_base", 10_000));
    if (!factors.shortDivisors().isEmpty()) {
      ObjectNode scaling = keys.putObject("rope_scaling").put("rope_type", "longrope");
      factors.shortDivisors().forEach(scaling.putArray("short_factor")::add);
      factors.longDivisors().forEach(scaling.putArray("long_factor")::add);
      if (RopeFactors.areTwo(architecture)) {
        int trained = count("rope.scaling.original_context_length", count("context_length"));
        scaling.put("attention_factor", number("rope.scaling.attn_factor", 1));
        keys.put("original_max_position_embeddings", trained);
      } else {
        scaling.put("attention_factor", 1);
      }
      return;
    }
    String type = text("rope.scaling.type", "none");
    double factor = number("rope.scaling.factor", 1);
    if (type.equals("none") && factor == 1) {
      return;
    }
    ObjectNode scaling =
        keys.putObject("rope_scaling").put("rope_type", type).put("factor", factor);
    switch (type) {
      case "linear" -> {}
      case "yarn" -> putYarn(scaling);
      default ->
          throw bad("rope.scaling.type is " + Keys.shown(type) + ", expected none, linear or yarn");
    }
  }

  private void putYarn(ObjectNode scaling) {
    only("rope.scaling.attn_factor", 1.0);
    only("rope.scaling.yarn_attn_factor", 1.0);
    only("rope.scaling.yarn_ext_factor", 1.0);
    scaling
        .put(
            "original_max_position_embeddings",
            count("rope.scaling.original_context_length", count("context_length")))
        .put("beta_fast", number("rope.scaling.yarn_beta_fast", 32))
        .put("beta_slow", number("rope.scaling.yarn_beta_slow", 1));
    switch (architecture) {
      case "gpt-oss" -> scaling.put("truncate", false); // as it was trained
      case "deepseek2" -> {
        double weight = 10 * number("rope.scaling.yarn_log_multiplier");
        scaling.put("mscale", weight).put("mscale_all_dim", weight);
      }
      default -> {}
    }
  }

  private void putDense() {
    switch (architecture) {
      case "llama" -> keys.put("model_type", "llama");
      case "gemma2" -> {
        keys.put("final_logit_softcapping", 30);
        new GgufGemma(this, keys).putWindows(2, 46);
        keys.put("attn_logit_softcapping", number("attn_logit_softcapping", 50));
      }
      case "gemma3" -> {
        new GgufGemma(this, keys).putWindows(6, 62);
        keys.put("rope_local_base_freq", number("rope.freq_base_swa", 10_000));
      }
      default -> {}
    }
    keys.put("intermediate_size", count("feed_forward_length"));
    if (architecture.equals("granite")) {
      keys.put("mlp_bias", hasTensor("ffn_up.bias"));
    }
  }

  /** Granite's factors; an attention scale of 0 is llama.cpp's default. */
  private void putFactors() {
    double scale = number("attention.scale", 0);
    keys.put("embedding_multiplier", number("embedding_scale", 1))
        .put("residual_multiplier", number("residual_scale", 1))
        .put("logits_scaling", number("logit_scale"))
        .put(
            "attention_multiplier",
            scale == 0 ? 1 / Math.sqrt(keys.get("head_dim").intValue()) : scale);
  }
}

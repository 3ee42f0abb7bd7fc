package panamoe.model.family;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import panamoe.backend.GateSettings.Score;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufMetadata;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Translates a GGUF file's metadata to the {@code config.json} of its family, including what an
 * architecture fixes without a key, such as whether weights are normalised. Every key that begins
 * with the architecture's name is read, known to mean nothing, or refused. Used by one thread.
 */
final class GgufKeys {
  /** The families of the known architectures; DeepSeek's is the one with softmax. */
  private static final Map<String, String> FAMILIES =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("deepseek2", "deepseek_v2"),
              Map.entry("gemma2", "gemma2"),
              Map.entry("gemma3", "gemma3_text"),
              Map.entry("gpt-oss", "gpt_oss"),
              Map.entry("llama", "mixtral"),
              Map.entry("olmo2", "olmo2"),
              Map.entry("olmoe", "olmoe"),
              Map.entry("qwen2", "qwen2"),
              Map.entry("qwen2moe", "qwen2_moe"),
              Map.entry("qwen3", "qwen3"),
              Map.entry("qwen3moe", "qwen3_moe"),
              Map.entry("smollm3", "smollm3")));

  /** Families without an architecture of their own, by the one whose files are theirs too. */
  private static final Map<String, String> ALIKE =
      Map.of("deepseek_v3", "deepseek_v2", "llama", "mixtral", "mistral", "mixtral");

  /** Architectures whose head may be tied to the embedding. */
  private static final Set<String> MAY_TIE =
      Set.of("deepseek2", "gemma2", "gemma3", "llama", "qwen2", "qwen3", "qwen3moe", "smollm3");

  private static final Set<String> WITHOUT_MEANING =
      Set.of("rope.scaling.finetuned", "tensor_data_layout");

  private final GgufMetadata metadata;
  private final Map<String, StoredTensor> tensors;
  private final String architecture;
  private final Set<String> unread = new TreeSet<>();
  private final ObjectNode keys = JsonNodeFactory.instance.objectNode();

  /**
   * The keys of {@code config.json}, and keys of the file without meaning here.
   *
   * @param unread whole names
   */
  record Read(ObjectNode keys, Set<String> unread) {}

  private GgufKeys(GgufMetadata metadata, Map<String, StoredTensor> tensors) {
    this.metadata = metadata;
    this.tensors = tensors;
    this.architecture = architecture(metadata);
    for (String key : metadata.keys()) {
      if (key.startsWith(architecture + ".")) {
        unread.add(key);
      }
    }
    WITHOUT_MEANING.forEach(key -> unread.remove(whole(key)));
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
    if (!FAMILIES.containsKey(architecture)) {
      throw new CheckpointException(
          "%s: general.architecture is %s, expected one of %s",
          metadata.path(), Keys.shown(architecture), String.join(", ", FAMILIES.keySet()));
    }
    return architecture;
  }

  /**
   * The keys of {@code config.json}, {@code model_type} among them.
   *
   * @throws CheckpointException if a key is missing or unknown, or its value is not supported
   */
  static ObjectNode of(GgufFile file) {
    return read(file.metadata(), file.tensors(), RopeFactors.of(file), true).keys();
  }

  /**
   * Reads the keys of {@code config.json} from a file's metadata.
   *
   * @param divisors of the rotary frequencies; empty for none
   * @param strict whether to refuse an unknown key
   */
  static Read read(
      GgufMetadata metadata,
      Map<String, StoredTensor> tensors,
      List<Double> divisors,
      boolean strict) {
    GgufKeys keys = new GgufKeys(metadata, tensors);
    keys.putModel();
    if (keys.architecture.equals("deepseek2")) {
      keys.putLatentAttention();
    } else {
      keys.putAttention();
    }
    keys.putRotary(divisors);
    if (keys.has("expert_count") || !keys.mayBeDense()) {
      keys.putExperts();
    } else {
      keys.putDense();
    }
    if (strict) {
      keys.requireAllRead();
    }
    return new Read(keys.keys, keys.unread);
  }

  private boolean mayBeDense() {
    return Set.of("gemma2", "gemma3", "llama", "olmo2", "qwen2", "qwen3", "smollm3")
        .contains(architecture);
  }

  private void putModel() {
    int layers = count("block_count", 1, ModelConfig.MAX_LAYERS);
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
    only("rope.dimension_count", size);
    keys.put("num_key_value_heads", count("attention.head_count_kv", heads)).put("head_dim", size);
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

  private void putRotary(List<Double> divisors) {
    keys.put("rope_theta", number("rope.freq_base", 10_000));
    if (!divisors.isEmpty()) {
      ObjectNode scaling =
          keys.putObject("rope_scaling").put("rope_type", "longrope").put("attention_factor", 1);
      divisors.forEach(scaling.putArray("short_factor")::add);
      divisors.forEach(scaling.putArray("long_factor")::add);
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
        putGemma(2, 46);
        keys.put("attn_logit_softcapping", number("attn_logit_softcapping", 50))
            .put("final_logit_softcapping", number("final_logit_softcapping", 30));
      }
      case "gemma3" -> {
        putGemma(6, 62);
        keys.put("rope_local_base_freq", number("rope.freq_base_swa", 10_000));
        if (has("final_logit_softcapping")) {
          keys.put("final_logit_softcapping", number("final_logit_softcapping"));
        }
      }
      default -> {}
    }
    keys.put("intermediate_size", count("feed_forward_length"));
  }

  /**
   * @param period every such layer has no window, where the file does not say
   * @param largest layers of the family's largest model, whose scores have a scale of their own
   */
  private void putGemma(int period, int largest) {
    int layers = count("block_count");
    int every = count("attention.sliding_window_pattern", period);
    ArrayNode types = keys.putArray("layer_types");
    for (int layer = 1; layer <= layers; layer++) {
      types.add(layer % every == 0 ? Decoder.FULL : Decoder.WINDOW);
    }
    int shared = Math.max(1, count("embedding_length") / count("attention.head_count"));
    keys.put("sliding_window", count("attention.sliding_window"))
        .put(
            "query_pre_attn_scalar",
            layers == largest ? shared : count("attention.key_length", shared));
  }

  private void putExperts() {
    int experts = count("expert_count", 1, MoeConfig.MAX_EXPERTS);
    int chosen = count("expert_used_count", 1, experts);
    String gate = "blk." + (count("block_count") - 1) + ".ffn_gate_inp.weight";
    if (rows(gate) != experts) { // before objects for all are made
      throw bad("expert_count is " + experts + ", but " + gate + " has " + rows(gate) + " rows");
    }
    int inner = count("feed_forward_length");
    keys.put("num_experts_per_tok", chosen);
    switch (architecture) {
      case "llama" -> keys.put("num_local_experts", experts).put("intermediate_size", inner);
      case "olmoe" -> {
        keys.put("num_experts", experts)
            .put("intermediate_size", count("expert_feed_forward_length", inner))
            .put("norm_topk_prob", false);
        if (has("attention.clamp_kqv")) {
          keys.put("clip_qkv", number("attention.clamp_kqv"));
        }
      }
      case "qwen2moe" ->
          keys.put("num_experts", experts)
              .put("moe_intermediate_size", count("expert_feed_forward_length", inner / chosen))
              .put(
                  "shared_expert_intermediate_size",
                  count("expert_shared_feed_forward_length", inner))
              .put("intermediate_size", inner)
              .put("norm_topk_prob", false);
      case "qwen3moe" ->
          keys.put("num_experts", experts)
              .put("moe_intermediate_size", count("expert_feed_forward_length", inner / chosen))
              .put("intermediate_size", inner)
              .put("norm_topk_prob", true);
      case "gpt-oss" ->
          keys.put("num_local_experts", experts)
              .put("intermediate_size", count("expert_feed_forward_length", inner))
              .put("sliding_window", count("attention.sliding_window"));
      case "deepseek2" -> putDeepSeek(experts, inner);
      default -> throw new IllegalStateException(architecture);
    }
  }

  /** The number of a score in {@code expert_gating_func}. */
  static int gatingFunction(Score score) {
    return switch (score) {
      case SOFTMAX -> 1;
      case SIGMOID -> 2;
    };
  }

  private void putDeepSeek(int experts, int inner) {
    boolean biased = tensors.keySet().stream().anyMatch(name -> name.endsWith(".exp_probs_b.bias"));
    int gating = gatingFunction(biased ? Score.SIGMOID : Score.SOFTMAX);
    boolean sigmoid = count("expert_gating_func", gating) == gatingFunction(Score.SIGMOID);
    only("expert_gating_func", gatingFunction(sigmoid ? Score.SIGMOID : Score.SOFTMAX));
    int groups = count("expert_group_count", 1);
    keys.put("n_routed_experts", experts)
        .put("moe_intermediate_size", count("expert_feed_forward_length"))
        .put("intermediate_size", inner)
        .put("n_shared_experts", count("expert_shared_count"))
        .put("first_k_dense_replace", count("leading_dense_block_count", 0, ModelConfig.MAX_LAYERS))
        .put("routed_scaling_factor", number("expert_weights_scale", 1))
        .put("norm_topk_prob", flag("expert_weights_norm", sigmoid))
        .put("n_group", groups)
        .put("topk_group", count("expert_group_used_count", 1));
    if (sigmoid) {
      keys.put("model_type", "deepseek_v3");
    } else {
      keys.put("topk_method", groups == 1 ? "greedy" : "group_limited_greedy");
    }
  }

  private void requireAllRead() {
    if (!unread.isEmpty()) {
      throw new CheckpointException(
          "%s has %s, which %s not known here and may change what the model computes",
          metadata.path(), Keys.shown(unread), unread.size() == 1 ? "is" : "are");
    }
  }

  private int count(String key) {
    return count(key, 1, Integer.MAX_VALUE);
  }

  private int count(String key, int absent) {
    return has(key) ? count(key) : absent;
  }

  private int count(String key, int least, int most) {
    unread.remove(whole(key));
    return metadata.whole(whole(key), least, most);
  }

  private double number(String key) {
    unread.remove(whole(key));
    return metadata.real(whole(key));
  }

  private double number(String key, double absent) {
    return has(key) ? number(key) : absent;
  }

  private boolean flag(String key, boolean absent) {
    unread.remove(whole(key));
    return has(key) ? metadata.flag(whole(key)) : absent;
  }

  private String text(String key, String absent) {
    unread.remove(whole(key));
    return has(key) ? metadata.text(whole(key)) : absent;
  }

  private void only(String key, int value) {
    if (has(key)) {
      count(key, value, value);
    }
  }

  private void only(String key, double value) {
    if (number(key, value) != value) {
      throw bad(key + " is " + number(key) + ", expected " + value + ": nothing else is supported");
    }
  }

  private boolean has(String key) {
    return metadata.contains(whole(key));
  }

  private String whole(String key) {
    return architecture + "." + key;
  }

  private int rows(String tensor) {
    StoredTensor stored = tensors.get(tensor);
    if (stored == null || stored.shape().length == 0) {
      throw new CheckpointException(metadata.path() + " has no matrix " + tensor);
    }
    return (int) Math.min(Integer.MAX_VALUE, stored.shape()[0]);
  }

  private CheckpointException bad(String problem) {
    return new CheckpointException(metadata.path() + ": " + whole(problem));
  }
}

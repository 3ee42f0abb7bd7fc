package panamoe.model.family;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.InitialWeights;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NearlyEqual;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes a model as the {@code config.json} of a family. It writes the keys of all families; the
 * family's reader keeps the keys that it knows, and reading back decides whether they describe this
 * very model. So each key's meaning is defined once, by its reader. Absent features are written too
 * if transformers has another default for the key. Used by one thread.
 */
final class ConfigKeys {
  /** Names the keys in messages. */
  private static final Path HERE = Path.of("config.json");

  private final ObjectNode keys = JsonNodeFactory.instance.objectNode();
  private final boolean ofLlama4;

  private ConfigKeys(Family family, ModelConfig config) {
    this.ofLlama4 = family.type().equals(Llama4.TYPE); // where intermediate_size is of experts
    putModel(config);
  }

  /**
   * The keys of the model in a family; empty if the family has no such model.
   *
   * @param config initial weights, losses and dropping are ignored
   */
  static Optional<ObjectNode> of(Family family, ModelConfig config) {
    ObjectNode keys = new ConfigKeys(family, config).keys;
    Keys read = new Keys(HERE, keys);
    if (!differences(family, config, read).filter(List::isEmpty).isPresent()) {
      return Optional.empty();
    }
    read.removeUnread();
    keys.put("model_type", family.type());
    return Optional.of(keys);
  }

  /**
   * What a family would read differently, as {@link NearlyEqual} names it; empty if it lacks a key
   * for a required size.
   */
  static Optional<List<String>> differences(Family family, ModelConfig config) {
    return differences(family, config, new Keys(HERE, new ConfigKeys(family, config).keys));
  }

  private static Optional<List<String>> differences(Family family, ModelConfig config, Keys keys) {
    try {
      ModelConfig understood = family.model(keys);
      return Optional.of(NearlyEqual.differences(forInference(config), forInference(understood)));
    } catch (CheckpointException | IllegalArgumentException _) {
      return Optional.empty(); // a value that this family does not have
    }
  }

  /** A model without its settings for training. */
  static ModelConfig forInference(ModelConfig config) {
    ModelConfig dropless =
        config.withGates(
            gate ->
                gate.withCapacity(GateConfig.Capacity.DROPLESS)
                    .withLoss(new GateConfig.Loss(true, 0, 0)));
    return new ModelConfig(
        dropless.vocabulary(),
        dropless.context(),
        dropless.hidden(),
        dropless.embedding(),
        dropless.blocks(),
        dropless.finalNorm(),
        dropless.head(),
        InitialWeights.of(0.02, dropless.layers()),
        dropless.encoder());
  }

  private void putModel(ModelConfig config) {
    keys.put("vocab_size", config.vocabulary())
        .put("max_position_embeddings", config.context())
        .put("hidden_size", config.hidden())
        .put("num_hidden_layers", config.layers())
        .put("rms_norm_eps", config.finalNorm().epsilon())
        .put("tie_word_embeddings", config.head().tied())
        .put("lm_head_bias", config.head().bias())
        .put("embedding_multiplier", factor(config.embedding().scale()))
        .put("residual_multiplier", factor(config.blocks().getFirst().outputScale()))
        .put("logits_scaling", 1 / factor(config.head().scale()));
    keys.put("final_logit_softcapping", config.head().softCap());
    List<BlockConfig> blocks = config.blocks();
    String activation =
        config.activations().getFirst().equals(Activation.GEGLU_TANH)
            ? "gelu_pytorch_tanh"
            : "silu";
    keys.put("hidden_act", activation).put("hidden_activation", activation);
    ArrayNode types = keys.putArray("layer_types");
    int window = 0;
    for (BlockConfig block : blocks) {
      AttentionConfig.Scores scores = block.attention().scores();
      boolean chunked = scores.mask() == Mask.CHUNKED;
      boolean all = scores.window() == 0;
      types.add(all ? Decoder.FULL : chunked ? Decoder.CHUNKS : Decoder.WINDOW);
      window = Math.max(window, scores.window());
      if (scores.window() > 0 && block.attention().rotary() != null) {
        keys.put("rope_local_base_freq", block.attention().rotary().base());
      }
    }
    if (window > 0) {
      keys.put("sliding_window", window).put("attention_chunk_size", window);
    }
    switch (mostRotated(blocks)) {
      case GroupedQueryConfig grouped -> putGrouped(grouped);
      case LatentAttentionConfig latent -> putLatent(latent);
    }
    keys.put("attn_temperature_tuning", false);
    blocks.forEach(block -> putTemperature(block.attention()));
    ArrayNode rotated = keys.putArray("no_rope_layers");
    blocks.forEach(block -> rotated.add(block.attention().rotary() == null ? 0 : 1));
    putKinds(blocks);
    putFeedForward(blocks);
  }

  /** Gemma 4's keys, which are of layers with a window, and of those without. */
  private void putKinds(List<BlockConfig> blocks) {
    keys.put("hidden_size_per_layer_input", 0);
    ObjectNode rotary = JsonNodeFactory.instance.objectNode();
    boolean proportional = false;
    for (BlockConfig block : blocks) {
      if (!(block.attention() instanceof GroupedQueryConfig attention)) {
        return;
      }
      boolean windowed = attention.scores().window() > 0;
      GroupedQueryConfig.Heads heads = attention.heads();
      keys.put(windowed ? "num_key_value_heads" : "num_global_key_value_heads", heads.keyValue())
          .put(windowed ? "head_dim" : "global_head_dim", heads.size());
      if (!windowed) {
        keys.put("attention_k_eq_v", attention.valuesOfKeys());
      }
      if (attention.rotary() != null) {
        ObjectNode kind = rotary.putObject(windowed ? Decoder.WINDOW : Decoder.FULL);
        kind.put("rope_type", "default").put("rope_theta", attention.rotary().base());
        if (attention.rotary().scaling() instanceof RotaryScaling.Proportional(double part)) {
          kind.put("rope_type", "proportional").put("partial_rotary_factor", part);
          proportional = true;
        }
      }
    }
    if (proportional) { // no other family has it
      keys.set("rope_parameters", rotary);
    }
  }

  /** The first layer without a window that has positions; the first that has some, if all have. */
  static AttentionConfig mostRotated(List<BlockConfig> blocks) {
    List<AttentionConfig> all = blocks.stream().map(BlockConfig::attention).toList();
    List<AttentionConfig> rotated = all.stream().filter(each -> each.rotary() != null).toList();
    return rotated.stream()
        .filter(each -> each.scores().window() == 0)
        .findFirst()
        .orElse(rotated.isEmpty() ? all.getFirst() : rotated.getFirst());
  }

  private void putTemperature(AttentionConfig attention) {
    if (attention instanceof GroupedQueryConfig grouped && grouped.temperature() != null) {
      keys.put("attn_temperature_tuning", true)
          .put("attn_scale", grouped.temperature().scale())
          .put("floor_scale", grouped.temperature().positions());
    }
  }

  private void putGrouped(GroupedQueryConfig attention) {
    keys.put("num_attention_heads", attention.heads().query())
        .put("num_key_value_heads", attention.heads().keyValue())
        .put("head_dim", attention.heads().size())
        .put("qkv_bias", attention.biases().query())
        .put("attention_bias", attention.biases().query())
        .put("use_bias", attention.biases().output())
        .put("use_qk_norm", attention.queryKeyNorm() != null);
    Double scale = attention.scores().scale();
    int size = attention.heads().size();
    keys.put("attention_multiplier", scale == null ? 1 / Math.sqrt(size) : scale)
        .put("query_pre_attn_scalar", scale == null ? size : 1 / (scale * scale))
        .put("attn_logit_softcapping", attention.scores().softCap());
    if (attention.clip() != null) {
      keys.put("clip_qkv", attention.clip());
    }
    putRotary(attention, 0);
  }

  private void putLatent(LatentAttentionConfig attention) {
    int nope = attention.heads().nope();
    keys.put("num_attention_heads", attention.heads().count())
        .put("num_key_value_heads", attention.heads().count())
        .put("qk_nope_head_dim", nope)
        .put("qk_rope_head_dim", attention.rotary().size())
        .put("v_head_dim", attention.heads().value())
        .put("kv_lora_rank", attention.ranks().keyValue())
        .put("rope_interleave", attention.rotary().pairs() == Rotary.Pairs.ADJACENT);
    keys.put("q_lora_rank", attention.ranks().query()); // null: none
    double factor =
        attention.scale() == null ? 1 : attention.scale() * Math.sqrt(attention.querySize());
    putRotary(attention, Math.sqrt(factor) - 1);
  }

  /**
   * @param stretch YaRN's term in the square root of the factor of attention's scale
   */
  private void putRotary(AttentionConfig attention, double stretch) {
    Rotary rotary = attention.rotary();
    if (rotary == null) {
      return; // learned positions, which no family has
    }
    keys.put("rope_theta", rotary.base()).put("rotary_dim", rotary.size());
    if (attention instanceof GroupedQueryConfig grouped) {
      keys.put("partial_rotary_factor", (double) rotary.size() / grouped.heads().size());
    }
    ObjectNode scaling = JsonNodeFactory.instance.objectNode();
    switch (rotary.scaling()) {
      case null -> {
        if (!attention.scores().sinks()) {
          return;
        }
        scaling.put("rope_type", "default"); // the default of GPT-OSS is YaRN
      }
      case RotaryScaling.Proportional _ -> {
        return; // see putKinds
      }
      case RotaryScaling.Linear linear ->
          scaling.put("rope_type", "linear").put("factor", linear.factor());
      case RotaryScaling.Dynamic dynamic ->
          scaling
              .put("rope_type", "dynamic")
              .put("factor", dynamic.factor())
              .put("original_max_position_embeddings", dynamic.trainedPositions());
      case RotaryScaling.Llama3 llama ->
          scaling
              .put("rope_type", "llama3")
              .put("factor", llama.factor())
              .put("low_freq_factor", llama.lowFactor())
              .put("high_freq_factor", llama.highFactor())
              .put("original_max_position_embeddings", llama.trainedPositions());
      case RotaryScaling.LongRope stretched -> {
        scaling
            .put("rope_type", "longrope")
            .put("original_max_position_embeddings", stretched.trainedPositions())
            .put("attention_factor", stretched.amplitude());
        stretched.shortDivisors().forEach(scaling.putArray("short_factor")::add);
        stretched.longDivisors().forEach(scaling.putArray("long_factor")::add);
        keys.put("original_max_position_embeddings", stretched.trainedPositions());
      }
      case RotaryScaling.Yarn yarn -> {
        scaling
            .put("rope_type", "yarn")
            .put("factor", yarn.factor())
            .put("original_max_position_embeddings", yarn.trainedPositions())
            .put("beta_fast", yarn.betaFast())
            .put("beta_slow", yarn.betaSlow())
            .put("truncate", yarn.truncate())
            .put("attention_factor", yarn.amplitude());
        if (stretch != 0) {
          // Six digits are more than publishers give; the division leaves extra bits.
          double weight = Math.rint(stretch / (0.1 * Math.log(yarn.factor())) * 1e6) / 1e6;
          scaling.put("mscale_all_dim", weight);
        }
      }
    }
    keys.set("rope_scaling", scaling);
  }

  private void putFeedForward(List<BlockConfig> blocks) {
    MoeConfig experts = null;
    DenseConfig dense = null;
    ArrayNode listed = keys.putArray("mlp_only_layers");
    ArrayNode sparse = keys.putArray("moe_layers");
    int first = 0;
    int last = 0;
    for (int layer = 0; layer < blocks.size(); layer++) {
      switch (blocks.get(layer).feedForward()) {
        case MoeConfig moe -> {
          experts = moe;
          last = layer;
          sparse.add(layer);
        }
        case DenseConfig mlp -> {
          dense = mlp;
          listed.add(layer);
          first += first == layer ? 1 : 0;
        }
      }
    }
    keys.put("first_k_dense_replace", first);
    if (experts != null) {
      putExperts(experts);
      keys.put("moe_layer_start_index", first).put("moe_layer_end_index", last);
    }
    boolean beside = experts != null && experts.branchNorm() != null; // the MLP, of Gemma 4
    int inner = dense != null ? dense.inner() : beside ? experts.shared().inner() : experts.inner();
    keys.put("enable_moe_block", beside);
    keys.put("intermediate_size", ofLlama4 && experts != null ? experts.inner() : inner)
        .put("intermediate_size_mlp", inner)
        .put("mlp_bias", dense != null && dense.bias());
  }

  private void putExperts(MoeConfig moe) {
    GateConfig gate = moe.gate();
    GateConfig.Choice choice = gate.choice();
    boolean grouped = choice.groups() > 1;
    keys.put("num_experts", moe.experts())
        .put("num_local_experts", moe.experts())
        .put("n_routed_experts", moe.experts())
        .put("moe_num_experts", moe.experts())
        .put("num_experts_per_tok", gate.topK())
        .put("moe_topk", gate.topK())
        .put("top_k_experts", gate.topK())
        .put("moe_k", gate.topK())
        .put("moe_norm_min", gate.weight().epsilon())
        .put("moe_intermediate_size", moe.inner())
        .put("norm_topk_prob", gate.weight().normalization() == Normalization.CHOSEN)
        .put("routed_scaling_factor", gate.weight().scale())
        .put("scoring_func", gate.score().name().toLowerCase(Locale.ROOT))
        .put("n_group", choice.groups())
        .put("topk_group", choice.chosenGroups())
        .put(
            "topk_method",
            choice.correctionBias()
                ? "noaux_tc"
                : grouped && choice.groupScore() == GroupScore.MAXIMUM
                    ? "group_limited_greedy"
                    : "greedy");
    if (gate.weight().sparseMixer() != null) {
      keys.put("router_jitter_noise", gate.weight().sparseMixer() / 2);
    }
    if (!moe.activation().isPlain()) {
      keys.put("swiglu_limit", decimal(moe.activation().limit()))
          .put("swiglu_alpha", decimal(moe.activation().alpha()));
    }
    int shared = moe.shared() == null ? 0 : moe.shared().inner();
    keys.put("n_shared_experts", shared / moe.inner())
        .put("moe_num_shared_experts", shared / moe.inner());
    if (shared > 0) {
      keys.put("shared_expert_intermediate_size", shared).put("shared_intermediate_size", shared);
    }
  }

  private static double factor(Double scale) {
    return scale == null ? 1 : scale;
  }

  /** A float32 as the shortest decimal number. */
  private static double decimal(float value) {
    return Double.parseDouble(Float.toString(value));
  }
}

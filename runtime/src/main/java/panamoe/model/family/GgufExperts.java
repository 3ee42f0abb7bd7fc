package panamoe.model.family;

import panamoe.backend.GateSettings.Score;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import tools.jackson.databind.node.ObjectNode;

/** The part of {@link GgufKeys} about experts and their gate. */
final class GgufExperts {
  /** Experts of Llama 4 Maverick, by which llama.cpp knows that it has no norm of queries. */
  private static final int OF_MAVERICK = 128;

  private final ArchitectureKeys file;
  private final ObjectNode keys;

  private GgufExperts(ArchitectureKeys file, ObjectNode keys) {
    this.file = file;
    this.keys = keys;
  }

  /**
   * Adds the keys of experts.
   *
   * @param keys of {@code config.json}, with the number of layers
   */
  static void put(ArchitectureKeys file, ObjectNode keys) {
    new GgufExperts(file, keys).put();
  }

  private void put() {
    int experts = file.count("expert_count", 1, MoeConfig.MAX_EXPERTS);
    int chosen = file.count("expert_used_count", 1, experts);
    String gate = "blk." + (keys.get("num_hidden_layers").intValue() - 1) + ".ffn_gate_inp.weight";
    if (file.rows(gate) != experts) { // before objects for all are made
      throw file.bad(
          "expert_count is " + experts + ", but " + gate + " has " + file.rows(gate) + " rows");
    }
    int inner = file.count("feed_forward_length");
    String key =
        switch (file.architecture) {
          case "ernie4_5-moe" -> "moe_k";
          case "hunyuan-moe" -> "moe_topk";
          case "gemma4" -> "top_k_experts";
          default -> "num_experts_per_tok";
        };
    keys.put(key, chosen);
    switch (file.architecture) {
      case "llama" -> keys.put("num_local_experts", experts).put("intermediate_size", inner);
      case "olmoe" -> {
        keys.put("num_experts", experts)
            .put("intermediate_size", file.count("expert_feed_forward_length", inner))
            .put("norm_topk_prob", false);
        if (file.has("attention.clamp_kqv")) {
          keys.put("clip_qkv", file.number("attention.clamp_kqv"));
        }
      }
      case "qwen2moe" ->
          keys.put("num_experts", experts)
              .put(
                  "moe_intermediate_size", file.count("expert_feed_forward_length", inner / chosen))
              .put(
                  "shared_expert_intermediate_size",
                  file.count("expert_shared_feed_forward_length", inner))
              .put("intermediate_size", inner)
              .put("norm_topk_prob", false);
      case "qwen3moe" ->
          keys.put("num_experts", experts)
              .put(
                  "moe_intermediate_size", file.count("expert_feed_forward_length", inner / chosen))
              .put("intermediate_size", inner)
              .put("norm_topk_prob", true);
      case "gpt-oss" ->
          keys.put("num_local_experts", experts)
              .put("intermediate_size", file.count("expert_feed_forward_length", inner))
              .put("sliding_window", file.count("attention.sliding_window"));
      case "deepseek2", "dots1", "glm4moe" -> putDeepSeek(experts, inner);
      case "ernie4_5-moe" ->
          keys.put("moe_num_experts", experts)
              .put("moe_intermediate_size", file.count("expert_feed_forward_length"))
              .put("intermediate_size", inner)
              .put("moe_num_shared_experts", sharedExperts())
              .put("moe_layer_start_index", denseLayers())
              .put("moe_layer_interval", file.count("interleave_moe_layer_step", 1));
      case "granitemoe" -> {
        keys.put("num_local_experts", experts).put("intermediate_size", inner);
        if (file.has("expert_shared_feed_forward_length")) {
          keys.put("model_type", "granitemoeshared")
              .put("shared_intermediate_size", file.count("expert_shared_feed_forward_length"));
        }
      }
      case "hunyuan-moe" -> {
        file.only("expert_feed_forward_length", inner);
        file.only("expert_shared_feed_forward_length", inner);
        file.only("expert_shared_count", 1);
        keys.put("num_experts", experts).put("intermediate_size", inner);
      }
      case "phimoe" ->
          keys.put("num_local_experts", experts)
              .put("intermediate_size", file.count("expert_feed_forward_length", inner))
              .put("lm_head_bias", file.tensors.containsKey("output.bias"));
      case "gemma4" ->
          keys.put("enable_moe_block", true)
              .put("num_experts", experts)
              .put("moe_intermediate_size", file.count("expert_feed_forward_length"))
              .put("intermediate_size", inner);
      case "llama4" -> {
        file.only("expert_gating_func", gatingFunction(Score.SIGMOID));
        keys.put("num_local_experts", experts)
            .put("intermediate_size", file.count("expert_feed_forward_length"))
            .put("intermediate_size_mlp", inner)
            .put("interleave_moe_layer_step", file.count("interleave_moe_layer_step"))
            .put("use_qk_norm", experts != OF_MAVERICK);
      }
      case "minimax-m2" -> {
        file.only("expert_gating_func", gatingFunction(Score.SIGMOID));
        keys.put("num_local_experts", experts)
            .put("intermediate_size", file.count("expert_feed_forward_length", inner));
      }
      default -> throw new IllegalStateException(file.architecture);
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
    boolean biased =
        file.tensors.keySet().stream().anyMatch(name -> name.endsWith(".exp_probs_b.bias"));
    int gating = gatingFunction(biased ? Score.SIGMOID : Score.SOFTMAX);
    boolean sigmoid =
        !file.architecture.equals("deepseek2")
            || file.count("expert_gating_func", gating) == gatingFunction(Score.SIGMOID);
    file.only("expert_gating_func", gatingFunction(sigmoid ? Score.SIGMOID : Score.SOFTMAX));
    int groups = file.count("expert_group_count", 1);
    keys.put("n_routed_experts", experts)
        .put("moe_intermediate_size", file.count("expert_feed_forward_length"))
        .put("intermediate_size", inner)
        .put("n_shared_experts", sharedExperts())
        .put("first_k_dense_replace", denseLayers())
        .put("routed_scaling_factor", file.number("expert_weights_scale", 1))
        .put("norm_topk_prob", file.flag("expert_weights_norm", sigmoid))
        .put("n_group", groups)
        .put("topk_group", file.count("expert_group_used_count", 1));
    if (!sigmoid) {
      keys.put("topk_method", groups == 1 ? "greedy" : "group_limited_greedy");
    } else if (file.architecture.equals("deepseek2")) {
      keys.put("model_type", "deepseek_v3");
    }
  }

  private int sharedExperts() {
    int count = file.mayCount("expert_shared_count", MoeConfig.MAX_EXPERTS);
    return file.has("expert_shared_feed_forward_length")
        ? file.count("expert_shared_feed_forward_length") / file.count("expert_feed_forward_length")
        : count;
  }

  private int denseLayers() {
    return file.mayCount("leading_dense_block_count", ModelConfig.MAX_LAYERS);
  }
}

package panamoe.model.family;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.backend.GateSettings.Normalization;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NearlyEqual;
import panamoe.config.RotaryScaling;

/**
 * Writes a model as the metadata of a GGUF file. Like {@link ConfigKeys} it writes the keys of all
 * architectures; {@link GgufKeys} keeps those that the architecture knows, and reading back must
 * give this very model. Used by one thread.
 */
record MetadataKeys(String architecture, GgufWriter writer) {
  /** Names the file in messages, before it is written. */
  private static final Path UNWRITTEN = Path.of("such a file");

  /**
   * Adds the keys of a model.
   *
   * @param tensors of the model, by the architecture's names
   * @throws panamoe.checkpoint.CheckpointException if the architecture has no such model, with what
   *     it would read differently
   */
  static void put(
      Family family, ModelConfig config, Map<String, RowTensor> tensors, GgufWriter writer) {
    String architecture = GgufKeys.architecture(family).orElseThrow();
    writer.put("general.architecture", architecture);
    MetadataKeys words = new MetadataKeys(architecture, writer);
    words.putModel(config);
    words.difference(config, tensors).ifPresent(words::refuse);
  }

  private void refuse(String why) {
    throw new CheckpointException(
        "GGUF's architecture %s has no word for what this model computes: %s", architecture, why);
  }

  /** How the model would be read differently; removes the keys that would not be read. */
  private Optional<String> difference(ModelConfig config, Map<String, RowTensor> tensors) {
    try {
      GgufKeys.Read read =
          GgufKeys.read(
              writer.metadata(UNWRITTEN), stored(tensors), RopeFactors.of(config, tensors), false);
      read.unread().forEach(writer::remove);
      ModelConfig understood =
          Family.named(read.keys().get("model_type").asString(""))
              .orElseThrow()
              .model(new Keys(UNWRITTEN, read.keys()));
      List<String> differs =
          NearlyEqual.differences(
              ConfigKeys.forInference(config), ConfigKeys.forInference(understood));
      return differs.isEmpty()
          ? Optional.empty()
          : Optional.of(
              "it would be read with another "
                  + String.join(", ", differs.subList(0, Math.min(3, differs.size()))));
    } catch (CheckpointException | IllegalArgumentException e) {
      return Optional.of(e.getMessage());
    }
  }

  private static Map<String, StoredTensor> stored(Map<String, RowTensor> tensors) {
    Map<String, StoredTensor> stored = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) ->
            stored.put(name, new StoredTensor(name, StoredType.F32, tensor.shape(), 0, 0)));
    return stored;
  }

  private void put(String key, Object value) {
    writer.put(architecture + "." + key, value);
  }

  private void putModel(ModelConfig config) {
    put("block_count", config.layers());
    put("context_length", config.context());
    put("embedding_length", config.hidden());
    put("vocab_size", config.vocabulary());
    put("attention.layer_norm_rms_epsilon", (float) config.finalNorm().epsilon());
    put("embedding_scale", factor(config.embedding().scale()));
    put("residual_scale", factor(config.blocks().getFirst().outputScale()));
    put("logit_scale", 1 / factor(config.head().scale()));
    if (config.head().softCap() != null) {
      put("final_logit_softcapping", config.head().softCap().floatValue());
    }
    switch (ConfigKeys.mostRotated(config.blocks())) {
      case GroupedQueryConfig grouped -> putGrouped(grouped);
      case LatentAttentionConfig latent -> putLatent(latent);
    }
    if (config.window() > 0) {
      put("attention.sliding_window", config.window());
      putWindows(config.blocks().stream().map(BlockConfig::attention).toList());
    }
    putFeedForward(config.blocks());
  }

  private static float factor(Double scale) {
    return scale == null ? 1 : scale.floatValue();
  }

  /** Every n-th layer has no window; the others may have another base of their positions. */
  private void putWindows(List<AttentionConfig> layers) {
    int first = 0;
    while (first < layers.size() && layers.get(first).scores().window() > 0) {
      first++;
    }
    put("attention.sliding_window_pattern", first + 1);
    if (architecture.equals("gemma4")) {
      putKinds(layers);
    }
    layers.stream()
        .filter(layer -> layer.scores().window() > 0 && layer.rotary() != null)
        .findFirst()
        .ifPresent(layer -> put("rope.freq_base_swa", (float) layer.rotary().base()));
  }

  /** Gemma 4's heads, which are others in layers with a window. */
  private void putKinds(List<AttentionConfig> layers) {
    put("attention.shared_kv_layers", 0);
    put("embedding_length_per_layer_input", 0);
    boolean[] windowed = new boolean[layers.size()];
    int[] keyValue = new int[layers.size()];
    for (int layer = 0; layer < windowed.length; layer++) {
      windowed[layer] = layers.get(layer).scores().window() > 0;
      if (layers.get(layer) instanceof GroupedQueryConfig grouped) {
        keyValue[layer] = grouped.heads().keyValue();
        if (windowed[layer]) {
          put("attention.key_length_swa", grouped.heads().size());
          put("attention.value_length_swa", grouped.heads().size());
          put("rope.dimension_count_swa", grouped.heads().size());
        }
      }
    }
    put("attention.sliding_window_pattern", windowed);
    put("attention.head_count_kv", keyValue);
  }

  private void putGrouped(GroupedQueryConfig attention) {
    int size = attention.heads().size();
    put("attention.head_count", attention.heads().query());
    put("attention.head_count_kv", attention.heads().keyValue());
    put("attention.key_length", size);
    put("attention.value_length", size);
    put("rope.dimension_count", attention.rotary().size());
    put("rope.freq_base", (float) attention.rotary().base());
    if (attention.scores().scale() != null) {
      put("attention.scale", attention.scores().scale().floatValue());
    }
    if (attention.scores().softCap() != null) {
      put("attn_logit_softcapping", attention.scores().softCap().floatValue());
    }
    if (attention.clip() != null) {
      put("attention.clamp_kqv", attention.clip().floatValue());
    }
    putScaling(attention.rotary().scalingOrNone(), 0);
  }

  private void putLatent(LatentAttentionConfig attention) {
    int latent = attention.ranks().keyValue();
    put("attention.head_count", attention.heads().count());
    put("attention.head_count_kv", 1);
    put("attention.key_length", attention.rowSize());
    put("attention.value_length", latent);
    put("attention.key_length_mla", attention.querySize());
    put("attention.value_length_mla", attention.heads().value());
    put("attention.kv_lora_rank", latent);
    if (attention.ranks().query() != null) {
      put("attention.q_lora_rank", attention.ranks().query());
    }
    put("rope.dimension_count", attention.rotary().size());
    put("rope.freq_base", (float) attention.rotary().base());
    double factor =
        attention.scale() == null ? 1 : attention.scale() * Math.sqrt(attention.querySize());
    putScaling(attention.rotary().scalingOrNone(), Math.sqrt(factor) - 1);
  }

  /**
   * @param stretch what YaRN adds to the square root of the factor of attention's scale
   */
  private void putScaling(RotaryScaling scaling, double stretch) {
    switch (scaling) {
      case RotaryScaling.Linear linear when linear.factor() != 1 -> {
        put("rope.scaling.type", "linear");
        put("rope.scaling.factor", (float) linear.factor());
      }
      case RotaryScaling.Yarn yarn -> {
        put("rope.scaling.type", "yarn");
        put("rope.scaling.factor", (float) yarn.factor());
        put("rope.scaling.original_context_length", yarn.trainedPositions());
        put("rope.scaling.yarn_beta_fast", (float) yarn.betaFast());
        put("rope.scaling.yarn_beta_slow", (float) yarn.betaSlow());
        put("rope.scaling.yarn_log_multiplier", (float) (stretch / Math.log(yarn.factor())));
      }
      case RotaryScaling.LongRope stretched -> {
        put("rope.scaling.original_context_length", stretched.trainedPositions());
        put("rope.scaling.attn_factor", (float) stretched.amplitude());
      }
      default -> {} // reading back finds out whether a key is missing
    }
  }

  private void putFeedForward(List<BlockConfig> blocks) {
    int first = 0;
    int inner = 0;
    List<MoeConfig> experts = new ArrayList<>();
    for (BlockConfig block : blocks) {
      switch (block.feedForward()) {
        case MoeConfig moe -> experts.add(moe);
        case DenseConfig dense -> {
          first += experts.isEmpty() ? 1 : 0;
          inner = dense.inner();
        }
      }
    }
    if (experts.isEmpty()) {
      put("feed_forward_length", inner);
      return; // where an architecture has experts, the reading back misses their number
    }
    MoeConfig moe = experts.getLast();
    boolean beside = moe.branchNorm() != null; // the MLP, of Gemma 4
    put("feed_forward_length", inner > 0 ? inner : beside ? moe.shared().inner() : moe.inner());
    put("leading_dense_block_count", first);
    put("interleave_moe_layer_step", architecture.equals("llama4") ? first + 1 : 1);
    put("expert_count", moe.experts());
    put("expert_used_count", moe.gate().topK());
    put("expert_feed_forward_length", moe.inner());
    put("expert_gating_func", GgufExperts.gatingFunction(moe.gate().score()));
    put("expert_weights_scale", (float) moe.gate().weight().scale());
    put("expert_weights_norm", moe.gate().weight().normalization() == Normalization.CHOSEN);
    put("expert_group_count", moe.gate().choice().groups());
    put("expert_group_used_count", moe.gate().choice().chosenGroups());
    if (moe.shared() != null) {
      put("expert_shared_feed_forward_length", moe.shared().inner());
      put("expert_shared_count", moe.shared().inner() / moe.inner());
    }
  }

  /**
   * A tensor in its type in the file: llama.cpp requires F32 vectors, biases and routers.
   *
   * @param wanted for the others; null: unchanged
   */
  static EncodedRows encoded(String name, RowTensor tensor, StoredType wanted) {
    if (tensor.shape().length == 1 || name.endsWith(".bias") || name.contains("ffn_gate_inp")) {
      return new EncodedRows(tensor, StoredType.F32);
    }
    if (wanted == null) {
      return EncodedRows.asStored(tensor);
    }
    long columns = tensor.shape()[tensor.shape().length - 1]; // a stack's source has longer rows
    boolean fits = columns % wanted.elements() == 0;
    return new EncodedRows(tensor, fits ? wanted : StoredType.BF16);
  }
}

package panamoe.model.family;

import java.util.List;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;

/** Reads what the configurations of Hugging Face's decoders have in common. */
record Decoder(
    Keys keys, int hidden, int layers, NormConfig norm, boolean tied, Activation activation) {
  static final String WINDOW = "sliding_attention";
  static final String CHUNKS = "chunked_attention";
  static final String FULL = "full_attention";

  /**
   * Keys for training and bookkeeping; ReleasedTokenizer reads eos_token_id, ReleasedModel
   * quantization_config.
   */
  static final String[] WITHOUT_MEANING = {
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "model_type",
    "output_router_logits",
    "pad_token_id",
    "pretraining_tp",
    "quantization_config",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "torch_dtype",
    "transformers_version",
    "use_cache"
  };

  /**
   * @param epsilon default for the norms
   */
  static Decoder of(Keys keys, double epsilon) {
    return of(keys, epsilon, false);
  }

  /**
   * @param epsilon default for the norms
   * @param tied whether the head is the embedding where the configuration does not say
   */
  static Decoder of(Keys keys, double epsilon, boolean tied) {
    keys.require("hidden_act", "silu");
    return of(
        keys,
        new NormConfig(NormConfig.Kind.RMS, keys.number("rms_norm_eps", epsilon)),
        tied,
        Activation.SWIGLU);
  }

  /** With such norms, and such an activation of MLPs. */
  static Decoder of(Keys keys, NormConfig norm, boolean tied, Activation activation) {
    keys.ignore(WITHOUT_MEANING);
    keys.require("is_encoder_decoder", false);
    int layers = keys.count("num_hidden_layers");
    if (layers > ModelConfig.MAX_LAYERS) {
      throw keys.bad("num_hidden_layers", "" + layers, "at most " + ModelConfig.MAX_LAYERS);
    }
    return new Decoder(
        keys,
        keys.count("hidden_size"),
        layers,
        norm,
        keys.flag("tie_word_embeddings", tied),
        activation);
  }

  /**
   * The heads of attention; by default as many key/value as query heads, together as wide as the
   * model.
   */
  GroupedQueryConfig.Heads heads() {
    return heads(Math.max(1, hidden / keys.count("num_attention_heads")));
  }

  /** The heads; {@code size} is the default size. */
  GroupedQueryConfig.Heads heads(int size) {
    int query = keys.count("num_attention_heads");
    return new GroupedQueryConfig.Heads(
        query, keys.count("num_key_value_heads", query), keys.count("head_dim", size));
  }

  /**
   * Attention to all earlier tokens, with biases if {@code attention_bias} says so.
   *
   * @param base default of the rotary positions, which rotate halves of a head
   */
  GroupedQueryConfig attention(GroupedQueryConfig.Heads heads, double base) {
    Rotary rotary = RotaryKeys.of(keys, base, heads.size(), Rotary.Pairs.HALVES);
    return GroupedQueryConfig.of(heads, keys.flag("attention_bias", false), rotary);
  }

  /** This decoder with other norms. */
  Decoder with(NormConfig other) {
    return new Decoder(keys, hidden, layers, other, tied, activation);
  }

  /** A norm of queries and one of keys like the other norms. */
  QueryKeyNorm norm(QueryKeyNorm.Over over) {
    return new QueryKeyNorm(over, norm);
  }

  /** Refuses windowed attention. */
  void requireFullAttention() {
    keys.require("use_sliding_window", false);
    keys.ignore("sliding_window", "max_window_layers"); // without meaning then
    for (String type : keys.texts("layer_types")) {
      if (!type.equals("full_attention")) {
        throw keys.bad("layer_types", type, "full_attention alone");
      }
    }
  }

  /**
   * By layer whether its attention has a window.
   *
   * @param absent which layers have one where {@code layer_types} is absent
   */
  IntPredicate windowed(IntPredicate absent) {
    return layersOf(WINDOW, absent);
  }

  /** Like {@link #windowed}, for a kind of layers that do not see all keys. */
  IntPredicate layersOf(String kind, IntPredicate absent) {
    List<String> types = keys.texts("layer_types");
    if (types.isEmpty()) {
      return absent;
    }
    if (types.size() != layers || !List.of(kind, FULL).containsAll(types)) {
      throw keys.bad(
          "layer_types", types.toString(), kind + " or " + FULL + " for each of the layers");
    }
    return layer -> types.get(layer).equals(kind);
  }

  /** By layer whether it has rotary positions; all but every fourth, unless keys say otherwise. */
  IntPredicate rotated() {
    int interval = keys.count("no_rope_layer_interval", 4);
    List<Integer> rotated = keys.numbers("no_rope_layers"); // 1: with positions
    boolean flags = rotated.stream().allMatch(each -> each <= 1);
    if (!flags || (!rotated.isEmpty() && rotated.size() != layers)) {
      throw keys.bad("no_rope_layers", rotated.toString(), "0 or 1 for each of the layers");
    }
    return layer -> rotated.isEmpty() ? (layer + 1) % interval != 0 : rotated.get(layer) == 1;
  }

  /**
   * A layer's MLP or MoE by Qwen's rule: every {@code decoder_sparse_step}-th layer has experts,
   * except those that {@code mlp_only_layers} lists.
   *
   * @param experts of such a layer
   */
  IntFunction<FeedForwardConfig> sparseBy(MoeConfig experts) {
    int step = keys.count("decoder_sparse_step", 1);
    List<Integer> dense = keys.numbers("mlp_only_layers");
    int inner = keys.count("intermediate_size");
    return layer ->
        (layer + 1) % step == 0 && !dense.contains(layer)
            ? experts
            : new DenseConfig(inner, Activation.SWIGLU, false);
  }

  /** An MLP without experts in every layer. */
  IntFunction<FeedForwardConfig> dense(boolean bias) {
    DenseConfig mlp = new DenseConfig(keys.count("intermediate_size"), activation, bias);
    return _ -> mlp;
  }

  /** How many experts a token visits: not more than there are, nor than kernels choose. */
  static int chosen(Keys keys, int experts) {
    return chosen(keys, "num_experts_per_tok", experts);
  }

  /** Experts per token by the key {@code name}. */
  static int chosen(Keys keys, String name, int experts) {
    boolean few = experts < GateConfig.MAX_TOP_K;
    return keys.count(
        name,
        few ? experts : GateConfig.MAX_TOP_K,
        few ? ", the number of experts" : ", which is what is supported");
  }

  /**
   * Plain experts with gates, chosen by a router without a bias.
   *
   * @param count the key of their number
   * @param inner the key of their width
   */
  MoeConfig experts(String count, String inner, boolean normalized) {
    int experts = keys.count(count);
    GateConfig gate = softmax(chosen(keys, experts), normalized);
    return MoeConfig.of(experts, keys.count(inner), Activation.SWIGLU, false, gate);
  }

  /** Shared experts of one width as one of all their widths; null for none. */
  static MoeConfig.SharedExpert shared(int count, int inner) {
    long width = (long) count * inner;
    return count == 0
        ? null
        : new MoeConfig.SharedExpert((int) Math.min(width, Integer.MAX_VALUE), false);
  }

  /** A router without a bias: top-k of a softmax over all experts. */
  static GateConfig softmax(int topK, boolean normalized) {
    return softmax(topK, false, normalized ? Normalization.CHOSEN : Normalization.RAW);
  }

  /** A gate with softmax scores, and perhaps a bias on its logits. */
  static GateConfig softmax(int topK, boolean bias, Normalization normalization) {
    return new GateConfig(
        topK,
        bias,
        Score.SOFTMAX,
        GateConfig.Choice.BEST,
        GateConfig.RouteWeight.of(normalization),
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0, 0));
  }

  /** The model with these blocks, by layer. */
  ModelConfig model(
      IntFunction<AttentionConfig> attention, IntFunction<FeedForwardConfig> feedForward) {
    return model(attention, feedForward, null);
  }

  /** The model of these blocks with norms elsewhere. */
  ModelConfig model(
      IntFunction<AttentionConfig> attention,
      IntFunction<FeedForwardConfig> feedForward,
      BlockConfig.Norms norms) {
    List<BlockConfig> blocks =
        IntStream.range(0, layers)
            .mapToObj(
                layer ->
                    new BlockConfig(
                        norm, attention.apply(layer), norm, feedForward.apply(layer), norms, null))
            .toList();
    return new ModelConfig(
        keys.count("vocab_size"),
        keys.count("max_position_embeddings"),
        hidden,
        new EmbeddingConfig(EmbeddingConfig.Positions.NONE),
        blocks,
        norm,
        new HeadConfig(tied, false),
        InitialWeights.of(0.02, layers));
  }
}

package panamoe.model.family;

import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.EncoderConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;

/**
 * Switch Transformers: T5's encoder and decoder; every n-th layer has experts, and a token goes to
 * one of them.
 */
final class Switch implements Family {
  /**
   * In addition to decoders' keys. The sparse steps give the layers with experts, and inputs are
   * not padded here.
   */
  private static final String[] WITHOUT_MEANING = {
    "add_router_probs",
    "dropout_rate",
    "initializer_factor",
    "num_sparse_decoder_layers",
    "num_sparse_encoder_layers",
    "output_past",
    "router_ignore_padding_tokens",
    "router_z_loss_coef"
  };

  private static final String ATTENTION = "SelfAttention";

  @Override
  public String type() {
    return "switch_transformers";
  }

  @Override
  public ModelConfig model(Keys keys) {
    keys.ignore(Decoder.WITHOUT_MEANING);
    keys.ignore(WITHOUT_MEANING);
    keys.require("is_encoder_decoder", true);
    keys.require("tie_encoder_decoder", false);
    keys.require("router_dtype", "float32");
    keys.require("router_type", "tokens_masked");
    keys.require("batch_prioritized_routing", false);
    keys.require("num_selected_experts", 1);
    keys.require("feed_forward_proj", "relu");
    keys.require("dense_act_fn", "relu");
    keys.require("is_gated_act", false);
    int hidden = keys.count("d_model");
    int layers = layers(keys, "num_layers", 12);
    int decoderLayers = layers(keys, "num_decoder_layers", layers);
    NormConfig norm = new NormConfig(NormConfig.Kind.RMS, keys.number("layer_norm_epsilon", 1e-6));
    int heads = keys.count("num_heads");
    GroupedQueryConfig.Heads sizes = new GroupedQueryConfig.Heads(heads, heads, keys.count("d_kv"));
    DenseConfig dense = new DenseConfig(keys.count("d_ff"), Activation.RELU, false);
    MoeConfig experts =
        MoeConfig.of(
            keys.count("num_experts"),
            dense.inner(),
            Activation.RELU,
            false,
            Decoder.softmax(1, keys.flag("router_bias", false), Normalization.RAW)
                .withCapacity(first(keys.count("expert_capacity", 64))));
    int encoderStep = keys.count("encoder_sparse_step", 2);
    int decoderStep = keys.count("decoder_sparse_step", 2);
    List<Integer> start = keys.numbers("decoder_start_token_id");
    boolean tied = keys.flag("tie_word_embeddings", true);
    return new ModelConfig(
        keys.count("vocab_size"),
        keys.count("n_positions", 512), // its training length
        hidden,
        new EmbeddingConfig(
            EmbeddingConfig.Positions.NONE,
            new EmbeddingConfig.Relative(
                keys.count("relative_attention_num_buckets", 32),
                keys.count("relative_attention_max_distance", 128)),
            null),
        blocks(decoderLayers, decoderStep, norm, attention(sizes, Mask.CAUSAL), dense, experts),
        norm,
        new HeadConfig(tied, false, tied ? 1 / Math.sqrt(hidden) : null),
        InitialWeights.of(0.02, decoderLayers),
        new EncoderConfig(
            blocks(layers, encoderStep, norm, attention(sizes, Mask.FULL), dense, experts),
            norm,
            start.isEmpty() ? 0 : start.getFirst()));
  }

  private static int layers(Keys keys, String name, int absent) {
    int layers = keys.count(name, absent);
    if (layers > ModelConfig.MAX_LAYERS) {
      throw keys.bad(name, "" + layers, "at most " + ModelConfig.MAX_LAYERS);
    }
    return layers;
  }

  /** An expert keeps its first routes of a sequence; dropped tokens skip the layer. */
  private static GateConfig.Capacity first(int routes) {
    return new GateConfig.Capacity(
        DropPolicy.POSITION, Double.MIN_VALUE, Double.MIN_VALUE, routes, QueueOrder.TOKEN_MAJOR);
  }

  /** Without a scale: T5 scales the initial weights instead. */
  private static GroupedQueryConfig attention(GroupedQueryConfig.Heads heads, Mask mask) {
    return GroupedQueryConfig.of(heads, false, null).with(new Scores(mask, 0, false, 1.0));
  }

  private static List<BlockConfig> blocks(
      int layers,
      int step,
      NormConfig norm,
      GroupedQueryConfig attention,
      FeedForwardConfig dense,
      MoeConfig experts) {
    return IntStream.range(0, layers)
        .mapToObj(
            layer ->
                new BlockConfig(
                    norm, attention, norm, step == 1 || layer % step == 1 ? experts : dense))
        .toList();
  }

  @Override
  public Recipes recipes() {
    Recipes recipes =
        new Recipes("decoder.block.%d.", "encoder.block.%d.")
            .put("embedding.weight", Recipe.tensor("shared.weight"))
            .put("head.weight", Recipe.tensor("lm_head.weight"))
            .put("final_norm.weight", Recipe.tensor("decoder.final_layer_norm.weight"))
            .put("encoder.final_norm.weight", Recipe.tensor("encoder.final_layer_norm.weight"))
            .put("cross_norm.weight", Recipe.tensor("layer.1.layer_norm.weight"))
            .again("encoder.embed_tokens.weight", "decoder.embed_tokens.weight");
    attention(recipes, "cross", "layer.1.EncDecAttention");
    stack(recipes, "", "decoder", "layer.2");
    stack(recipes, "encoder.", "encoder", "layer.1");
    return recipes;
  }

  /**
   * @param ours prefix of our names
   * @param theirs the stack's name
   * @param last the part of a layer with its MLP or experts
   */
  private static void stack(Recipes recipes, String ours, String theirs, String last) {
    String experts = last + ".mlp.experts.expert_*.";
    recipes
        .put(
            ours + "relative_bias.weight",
            Recipe.tensor(
                theirs + ".block.0.layer.0." + ATTENTION + ".relative_attention_bias.weight"))
        .put(ours + "attention_norm.weight", Recipe.tensor("layer.0.layer_norm.weight"))
        .put(ours + "mlp_norm.weight", Recipe.tensor(last + ".layer_norm.weight"))
        .put(ours + "mlp.up.weight", Recipe.tensor(last + ".mlp.wi.weight"))
        .put(ours + "mlp.down.weight", Recipe.tensor(last + ".mlp.wo.weight"))
        .put(ours + "moe.gate.weight", Recipe.tensor(last + ".mlp.router.classifier.weight"))
        .put(ours + "moe.gate.bias", Recipe.tensor(last + ".mlp.router.classifier.bias"))
        .put(ours + "moe.experts.up.weight", Recipe.tensor(experts + "wi.weight"))
        .put(ours + "moe.experts.down.weight", Recipe.tensor(experts + "wo.weight"));
    attention(recipes, ours + "attention", "layer.0." + ATTENTION);
  }

  private static void attention(Recipes recipes, String ours, String theirs) {
    for (String projection : List.of("query", "key", "value", "output")) {
      recipes.put(
          ours + "." + projection + ".weight",
          Recipe.tensor(theirs + "." + projection.charAt(0) + ".weight"));
    }
  }
}

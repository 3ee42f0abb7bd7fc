package panamoe.edit;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;

/** Reads a model's config from the arguments of Megatron-DeepSpeed's pretrain_gpt.py. */
final class MegatronConfig {
  private final MegatronArgs args;
  private final int hidden;
  private final int inner;
  private final boolean bias;

  private MegatronConfig(MegatronArgs args) {
    this.args = args;
    this.hidden = args.count("hidden_size");
    this.inner = args.count("ffn_hidden_size", 4 * hidden);
    this.bias = args.flag("add_bias_linear", true);
  }

  /**
   * @param vocabulary tokens; the checkpoint may have more, as padding
   * @throws panamoe.checkpoint.CheckpointException with an argument that is not supported
   * @throws IllegalArgumentException if a size is out of range
   */
  static ModelConfig of(MegatronArgs args, int vocabulary) {
    for (String flag :
        new String[] {
          "swiglu",
          "squared_relu",
          "use_rotary_position_embeddings",
          "apply_layernorm_1p",
          "apply_residual_connection_post_layernorm"
        }) {
      args.require(flag, false);
    }
    args.require("add_position_embedding", true);
    args.require("position_embedding_type", "learned_absolute");
    args.require("normalization", "layernorm");
    args.require("pipeline_model_parallel_size", 1L);
    args.require("num_experts_switch", "None");
    return new MegatronConfig(args).model(vocabulary);
  }

  private ModelConfig model(int vocabulary) {
    int layers = args.count("num_layers");
    List<BlockConfig> blocks = new ArrayList<>();
    for (int experts : experts(layers)) {
      blocks.add(new BlockConfig(norm(), attention(), norm(), feedForward(experts)));
    }
    boolean untied = args.flag("untie_embeddings_and_output_weights", false);
    return new ModelConfig(
        vocabulary,
        args.count("max_position_embeddings"),
        hidden,
        new EmbeddingConfig(EmbeddingConfig.Positions.LEARNED),
        blocks,
        norm(),
        new HeadConfig(!untied, false),
        InitialWeights.of(args.number("init_method_std", 0.02), layers));
  }

  /** The number of experts of each layer: every expert_interval-th has some; 1 means dense. */
  private List<Integer> experts(int layers) {
    if (layers > ModelConfig.MAX_LAYERS) {
      throw args.bad("num_layers", "" + layers, "at most " + ModelConfig.MAX_LAYERS);
    }
    int interval = args.count("expert_interval", 2);
    List<Integer> counts = args.counts("num_experts");
    int places = layers / interval;
    if (counts.size() == 1) {
      counts = Collections.nCopies(places, counts.getFirst());
    } else if (counts.size() != places) {
      throw args.bad(
          "num_experts",
          "a list of " + counts.size(),
          "1 number, or one for each of the " + places + " MoE layers");
    }
    List<Integer> experts = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      int count = (layer + 1) % interval == 0 ? counts.get(layer / interval) : 1;
      experts.add(count == 1 ? 0 : count);
    }
    return experts;
  }

  private NormConfig norm() {
    return new NormConfig(NormConfig.Kind.LAYER, args.number("layernorm_epsilon", 1e-5));
  }

  private AttentionConfig attention() {
    int heads = args.count("num_attention_heads");
    return new GroupedQueryConfig(
        new GroupedQueryConfig.Heads(
            heads,
            args.count("num_key_value_heads", heads),
            args.count("kv_channels", Math.max(1, hidden / heads))),
        GroupedQueryConfig.Biases.all(bias),
        null,
        null,
        null,
        AttentionConfig.Scores.CAUSAL);
  }

  private FeedForwardConfig feedForward(int experts) {
    if (experts == 0) {
      return new DenseConfig(inner, activation(), bias);
    }
    Object type = args.value("mlp_type");
    boolean residual = "residual".equals(type);
    if (!residual) {
      args.require("mlp_type", "standard");
    }
    return new MoeConfig(
        experts,
        inner,
        activation(),
        bias,
        gate(),
        null,
        residual ? new MoeConfig.Residual(inner) : null);
  }

  /** The fused kernel and OpenAI's form approximate GELU by tanh; torch's is exact. */
  private Activation activation() {
    boolean fused = args.flag("bias_gelu_fusion", true) && !args.flag("onnx_safe", false);
    return fused || args.flag("openai_gelu", false) ? Activation.GELU_TANH : Activation.GELU;
  }

  private GateConfig gate() {
    double factor = args.number("moe_train_capacity_factor", 1);
    GateConfig gate =
        GateConfig.deepSpeed(
            args.count("topk", 1), factor, (int) args.number("moe_min_capacity", 4));
    GateConfig.Capacity capacity = gate.capacity();
    gate =
        gate.withAuxiliaryCoefficient(args.number("moe_loss_coeff", 0.1))
            .withCapacity(
                new GateConfig.Capacity(
                    capacity.policy(),
                    factor,
                    args.number("moe_eval_capacity_factor", 1),
                    capacity.minimum(),
                    capacity.queueOrder()));
    if (!args.flag("moe_top2_2nd_expert_sampling", true)) {
      gate = gate.withChoice(GateConfig.Choice.BEST);
    }
    return args.flag("moe_token_dropping", true) ? gate : gate.withoutDropping();
  }
}

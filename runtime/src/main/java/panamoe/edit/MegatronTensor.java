package panamoe.edit;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The tensor of Megatron-DeepSpeed for one of Panamoe's.
 *
 * @param name of it; an expert's is without the prefix before {@code layers}
 * @param layer and {@code expert} of the file; -1 outside of experts
 */
record MegatronTensor(String name, TensorJoin join, int layer, int expert) {
  private static final String MODEL = "language_model.";
  private static final String EXPERT = "mlp.deepspeed_moe.experts.deepspeed_experts.";
  private static final Pattern LAYER = Pattern.compile("layers\\.(\\d+)\\.(.+)");

  /**
   * @param name a tensor's name in a checkpoint
   * @param slicedExperts whether tensor ranks split experts and fixed MLPs
   */
  static MegatronTensor of(String name, boolean slicedExperts) {
    int dot = name.lastIndexOf('.');
    String part = name.substring(0, dot);
    String kind = name.substring(dot);
    boolean matrix = kind.equals(".weight");
    LayerNames.ExpertTensor expert = LayerNames.expert(name);
    if (expert != null) {
      String below = mlp(expert.tensor().replace(kind, ""));
      return new MegatronTensor(
          "layers." + expert.layer() + "." + EXPERT + expert.expert() + "." + below + kind,
          join(below, matrix, slicedExperts),
          expert.layer(),
          expert.expert());
    }
    Matcher inLayer = LAYER.matcher(part);
    if (!inLayer.matches()) {
      return switch (part) {
        case "embedding" -> outside("embedding.word_embeddings" + kind, TensorJoin.ROWS);
        case "positions" -> outside("embedding.position_embeddings" + kind, TensorJoin.WHOLE);
        case "head" -> outside("output_layer" + kind, TensorJoin.ROWS);
        case "final_norm" -> outside("encoder.final_layernorm" + kind, TensorJoin.WHOLE);
        default -> throw new IllegalArgumentException(name);
      };
    }
    String layer = "encoder.layers." + inLayer.group(1) + ".";
    String below = inLayer.group(2);
    return switch (below) {
      case "attention_norm" -> outside(layer + "input_layernorm" + kind, TensorJoin.WHOLE);
      case "mlp_norm" -> outside(layer + "post_attention_layernorm" + kind, TensorJoin.WHOLE);
      case "attention.query" -> fused(layer, kind, TensorJoin.QUERY);
      case "attention.key" -> fused(layer, kind, TensorJoin.KEY);
      case "attention.value" -> fused(layer, kind, TensorJoin.VALUE);
      case "attention.output" ->
          outside(
              layer + "self_attention.dense" + kind,
              matrix ? TensorJoin.COLUMNS : TensorJoin.WHOLE);
      case "mlp.up", "mlp.down" -> {
        String linear = mlp(below.substring("mlp.".length()));
        yield outside(layer + "mlp." + linear + kind, join(linear, matrix, true));
      }
      case "moe.mlp.up", "moe.mlp.down" -> {
        String linear = mlp(below.substring("moe.mlp.".length()));
        yield outside(layer + "mlp.mlp." + linear + kind, join(linear, matrix, slicedExperts));
      }
      case "moe.gate" -> outside(layer + "mlp.deepspeed_moe.gate.wg" + kind, TensorJoin.WHOLE);
      case "moe.coefficient" -> outside(layer + "mlp.coefficient" + kind, TensorJoin.WHOLE);
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static String mlp(String part) {
    return part.equals("up") ? "dense_h_to_4h" : "dense_4h_to_h";
  }

  private static TensorJoin join(String linear, boolean matrix, boolean sliced) {
    if (!sliced) {
      return TensorJoin.WHOLE;
    }
    return linear.equals("dense_h_to_4h")
        ? TensorJoin.ROWS
        : matrix ? TensorJoin.COLUMNS : TensorJoin.WHOLE;
  }

  private static MegatronTensor outside(String name, TensorJoin join) {
    return new MegatronTensor(MODEL + name, join, -1, -1);
  }

  private static MegatronTensor fused(String layer, String kind, TensorJoin join) {
    return outside(layer + "self_attention.query_key_value" + kind, join);
  }

  /** Translates names of earlier versions. */
  static String today(String name) {
    return name.replace("language_model.transformer.", "language_model.encoder.")
        .replaceFirst("(layers\\.\\d+\\.)attention\\.", "$1self_attention.");
  }
}

package panamoe.edit;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.torch.TorchFiles;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.ModelConfig;
import panamoe.model.ModelTensors;

/**
 * Writes a model like Megatron-DeepSpeed; tests may change it first.
 *
 * <p>Its rules for slices and fused projections are independent of the reader's, row by row of the
 * model.
 */
final class MegatronFolder {
  static final int PADDED_TO = 4;

  final Map<String, Object> args = new LinkedHashMap<>();
  final Map<String, Object> state = new LinkedHashMap<>();

  /** Every tensor by Megatron's name, whole. */
  final Map<String, TorchFiles.Saved> tensors = new TreeMap<>();

  private final ModelConfig model;
  private final StoredType type;
  private final int ranks;
  private final boolean slicedExperts;

  MegatronFolder(
      ModelConfig model, Edit.Source source, StoredType type, int ranks, boolean slicedExperts) {
    this.model = model;
    this.type = type;
    this.ranks = ranks;
    this.slicedExperts = slicedExperts;
    Heads heads = ((GroupedQueryConfig) model.blocks().getFirst().attention()).heads();
    List<Long> counts =
        model.experts().stream().filter(count -> count > 0).map(Integer::longValue).toList();
    args.put("num_layers", (long) model.layers());
    args.put("hidden_size", (long) model.hidden());
    args.put("ffn_hidden_size", 6L);
    args.put("num_attention_heads", (long) heads.query());
    args.put("num_key_value_heads", (long) heads.keyValue());
    args.put("max_position_embeddings", (long) model.context());
    args.put("padded_vocab_size", (long) padded());
    args.put("make_vocab_size_divisible_by", (long) PADDED_TO);
    args.put("tensor_model_parallel_size", (long) ranks);
    args.put("init_method_std", 0.3);
    args.put("num_experts", counts.isEmpty() ? List.of(1L) : counts);
    args.put("expert_interval", 2L);
    args.put("mlp_type", "residual");
    args.put("topk", 1L);
    args.put("moe_token_dropping", false);
    args.put("moe_loss_coeff", 0.01);
    args.put("enable_expert_tensor_parallelism", slicedExperts);
    args.put("swiglu", null);
    state.put("checkpoint_version", 3.0);
    state.put("num_experts", counts);
    ModelTensors.shapes(model).forEach((name, shape) -> add(name, shape, source.read(name)));
    fuse(source, heads);
  }

  private int padded() {
    int multiple = PADDED_TO * ranks;
    return (model.vocabulary() + multiple - 1) / multiple * multiple;
  }

  private void add(String name, long[] shape, float[] values) {
    String renamed =
        name.replace("embedding.", "embedding.word_embeddings.")
            .replace("positions.", "embedding.position_embeddings.")
            .replace("final_norm.", "encoder.final_layernorm.")
            .replace("attention_norm.", "input_layernorm.")
            .replace("mlp_norm.", "post_attention_layernorm.")
            .replace("attention.output.", "self_attention.dense.")
            .replace(".moe.gate.", ".mlp.deepspeed_moe.gate.wg.")
            .replace(".moe.coefficient.", ".mlp.coefficient.")
            .replace(".moe.mlp.", ".mlp.mlp.")
            .replace(".moe.experts.", ".mlp.deepspeed_moe.experts.deepspeed_experts.")
            .replace(".up.", ".dense_h_to_4h.")
            .replace(".down.", ".dense_4h_to_h.")
            .replaceFirst("^layers", "encoder.layers");
    if (name.equals("embedding.weight")) {
      float[] rows = Arrays.copyOf(values, padded() * model.hidden());
      Arrays.fill(rows, values.length, rows.length, 99);
      put(renamed, rows, padded(), model.hidden());
    } else if (!name.matches(".*attention\\.(query|key|value)\\..*")) {
      put(renamed, values, shape);
    }
  }

  private void put(String name, float[] values, long... shape) {
    tensors.put("language_model." + name, new TorchFiles.Saved(type, values, shape));
  }

  /** For each key/value head the rows of its queries, of its key, of its value. */
  private void fuse(Edit.Source source, Heads heads) {
    int shared = heads.query() / heads.keyValue();
    for (int layer = 0; layer < model.layers(); layer++) {
      for (String kind : new String[] {"weight", "bias"}) {
        String at = "layers." + layer + ".attention.%s." + kind;
        int width = kind.equals("weight") ? model.hidden() : 1;
        float[][] parts = new float[3][];
        String[] names = {"query", "key", "value"};
        for (int i = 0; i < 3; i++) {
          parts[i] = source.read(String.format(Locale.ROOT, at, names[i]));
        }
        int rows = (heads.query() + 2 * heads.keyValue()) * heads.size();
        float[] fused = new float[rows * width];
        for (int row = 0; row < rows; row++) {
          int group = row / ((shared + 2) * heads.size());
          int within = row % ((shared + 2) * heads.size());
          int queries = shared * heads.size();
          int part = within < queries ? 0 : 1 + (within - queries) / heads.size();
          int from =
              part == 0
                  ? group * queries + within
                  : group * heads.size() + (within - queries) % heads.size();
          System.arraycopy(parts[part], from * width, fused, row * width, width);
        }
        String name = "encoder.layers." + layer + ".self_attention.query_key_value." + kind;
        put(name, fused, kind.equals("weight") ? new long[] {rows, width} : new long[] {rows});
      }
    }
  }

  private TorchFiles.Saved slice(String name, TorchFiles.Saved whole, int rank) {
    boolean inMoe = name.contains("deepspeed_experts") || name.contains(".mlp.mlp.");
    boolean mlp = name.contains("dense_h_to_4h") || name.contains("dense_4h_to_h");
    boolean byRows =
        name.contains("word_embeddings")
            || name.contains("query_key_value")
            || name.contains("dense_h_to_4h");
    boolean byColumns =
        name.endsWith("attention.dense.weight") || name.endsWith("dense_4h_to_h.weight");
    if (!byRows && !byColumns || inMoe && mlp && !slicedExperts) {
      return whole;
    }
    long[] shape = whole.shape().clone();
    int width = shape.length == 2 ? (int) shape[1] : 1;
    int axis = byRows ? 0 : 1;
    shape[axis] /= ranks;
    int size = (int) shape[axis];
    int[] kept =
        IntStream.range(0, whole.values().length)
            .filter(i -> (byRows ? i / width : i % width) / size == rank)
            .toArray();
    float[] values = new float[kept.length];
    for (int i = 0; i < kept.length; i++) {
      values[i] = whole.values()[kept[i]];
    }
    return new TorchFiles.Saved(whole.type(), values, shape);
  }

  /** Writes all files. */
  void write(Path folder) {
    for (int rank = 0; rank < ranks; rank++) {
      Map<String, Object> module = new LinkedHashMap<>();
      Map<String, Map<String, Object>> experts = new TreeMap<>();
      for (Map.Entry<String, TorchFiles.Saved> each : tensors.entrySet()) {
        String name = each.getKey();
        TorchFiles.Saved slice = slice(name, each.getValue(), rank);
        if (name.contains("deepspeed_experts")) {
          String[] numbers = name.replaceAll("\\D+", " ").strip().split(" ");
          int layer = Integer.parseInt(numbers[0]);
          long before = model.experts().subList(0, layer).stream().filter(n -> n > 0).count();
          String expert = name.replaceAll(".*deepspeed_experts\\.(\\d+)\\..*", "$1");
          experts
              .computeIfAbsent("layer_" + before + "_expert_" + expert, _ -> new TreeMap<>())
              .put(name, slice);
        } else {
          module.put(name, slice);
        }
      }
      String end = String.format(Locale.ROOT, "mp_rank_%02d_model_states.pt", rank);
      Map<String, Object> content = new LinkedHashMap<>(state);
      content.put("module", module);
      content.put("args", TorchFiles.namespace(args));
      TorchFiles.save(folder.resolve(end), content);
      experts.forEach((key, held) -> TorchFiles.save(folder.resolve(key + "_" + end), held));
    }
  }
}

package panamoe.peers;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.tensor.DType;

/** A model of ours as a GGUF file of llama.cpp's architecture qwen3moe. */
final class Qwen3File {
  private static final Pattern IN_LAYER = Pattern.compile("layers\\.(\\d+)\\.(.*)");

  private static final Map<String, String> NAMES =
      Map.ofEntries(
          Map.entry("embedding.weight", "token_embd.weight"),
          Map.entry("final_norm.weight", "output_norm.weight"),
          Map.entry("attention_norm.weight", "attn_norm.weight"),
          Map.entry("attention.query.weight", "attn_q.weight"),
          Map.entry("attention.key.weight", "attn_k.weight"),
          Map.entry("attention.value.weight", "attn_v.weight"),
          Map.entry("attention.output.weight", "attn_output.weight"),
          Map.entry("attention.query_norm.weight", "attn_q_norm.weight"),
          Map.entry("attention.key_norm.weight", "attn_k_norm.weight"),
          Map.entry("mlp_norm.weight", "ffn_norm.weight"),
          Map.entry("moe.gate.weight", "ffn_gate_inp.weight"),
          Map.entry("moe.experts.down.weight", "ffn_down_exps.weight"));

  private Qwen3File() {}

  /**
   * The file of a model whose parameters may get their memory later, before the file is written.
   *
   * @param model whose config is {@code GenerationModel.QWEN3}'s
   * @param dtype of matrices; vectors and routers are FLOAT32
   */
  static GgufWriter of(LanguageModel model, DType dtype) {
    GgufWriter file = new GgufWriter();
    putConfig(file, model.config());
    for (Parameter parameter : model.parameters().parameters()) {
      Matcher inLayer = IN_LAYER.matcher(parameter.name());
      String prefix = inLayer.matches() ? "blk." + inLayer.group(1) + "." : "";
      String name = inLayer.matches() ? inLayer.group(2) : parameter.name();
      DType held = parameter.valueDType(dtype);
      if (name.equals("moe.experts.up.weight")) {
        long[] shape = parameter.shape();
        shape[1] /= 2;
        file.add(prefix + "ffn_gate_exps.weight", held, shape, halves(parameter, 0));
        file.add(prefix + "ffn_up_exps.weight", held, shape, halves(parameter, 1));
      } else if (NAMES.containsKey(name)) {
        Supplier<List<MemorySegment>> whole = () -> matrices(parameter);
        file.add(prefix + NAMES.get(name), held, parameter.shape(), whole);
      } else {
        throw new IllegalArgumentException("qwen3moe has no " + parameter.name());
      }
    }
    return file;
  }

  private static void putConfig(GgufWriter file, ModelConfig config) {
    GroupedQueryConfig attention = (GroupedQueryConfig) config.blocks().getFirst().attention();
    MoeConfig moe = (MoeConfig) config.blocks().getFirst().feedForward();
    NormConfig norm = config.finalNorm();
    String in = "qwen3moe.";
    file.put("general.architecture", "qwen3moe");
    file.put(in + "vocab_size", config.vocabulary());
    file.put(in + "context_length", config.context());
    file.put(in + "embedding_length", config.hidden());
    file.put(in + "block_count", config.layers());
    file.put(in + "feed_forward_length", moe.inner());
    file.put(in + "expert_feed_forward_length", moe.inner());
    file.put(in + "expert_count", moe.experts());
    file.put(in + "expert_used_count", moe.gate().topK());
    file.put(in + "attention.head_count", attention.heads().query());
    file.put(in + "attention.head_count_kv", attention.heads().keyValue());
    file.put(in + "attention.key_length", attention.heads().size());
    file.put(in + "attention.value_length", attention.heads().size());
    file.put(in + "attention.layer_norm_rms_epsilon", (float) norm.epsilon());
    file.put(in + "rope.freq_base", (float) attention.rotary().base());
    file.put("tokenizer.ggml.model", "no_vocab");
  }

  /** Matrix by matrix, because a byte buffer has at most 2 GiB. */
  private static List<MemorySegment> matrices(Parameter parameter) {
    return IntStream.range(0, parameter.matrices())
        .mapToObj(i -> parameter.matrix(parameter.value(), i).data())
        .toList();
  }

  /** The matrix under the sigmoid (0), or the other one (1), of each expert. */
  private static Supplier<List<MemorySegment>> halves(Parameter parameter, int which) {
    return () ->
        matrices(parameter).stream()
            .map(both -> both.asSlice(which * (both.byteSize() / 2), both.byteSize() / 2))
            .toList();
  }
}

package panamoe.lab.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.DoubleConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.config.GroupedQueryConfig;
import panamoe.io.Require;
import panamoe.io.UserFolder;
import panamoe.io.WholeOrNothing;
import panamoe.io.Words;
import panamoe.tensor.DType;

/**
 * A model with random weights in a GGUF file: of llama.cpp's architecture qwen3moe with top-8 of 64
 * experts, or dense, of qwen3. RMSNorm, rotary positions. A token is a byte or an unused name.
 *
 * @param name on the command line, without the layers
 * @param layers number, all alike
 * @param hidden width
 * @param vocabulary more than 256
 * @param inner width of an MLP or an expert
 * @param experts of a layer; 0: an MLP, and the head is the embedding
 */
record SyntheticModel(
    String name,
    int layers,
    int hidden,
    int vocabulary,
    GroupedQueryConfig.Heads heads,
    int inner,
    int experts) {
  private static final Map<String, SyntheticModel> NAMED =
      Map.of(
          "synthetic-64",
          mixture(6, 1024, 32_000),
          "qwen3-0.6b",
          new SyntheticModel(
              "qwen3-0.6b", 28, 1024, 151_936, new GroupedQueryConfig.Heads(16, 8, 128), 3072, 0));
  private static final Pattern NAME = Pattern.compile("(.*?)(?::(\\d{1,3}))?");
  private static final int CHOSEN = 8;
  private static final int SEED = 64;
  private static final int NORMAL = 1; // a token type of GGUF
  private static final int UNUSED = 5;

  /** With 64 experts in every layer, of half the width, and equally many query and key heads. */
  static SyntheticModel mixture(int layers, int hidden, int vocabulary) {
    GroupedQueryConfig.Heads heads = new GroupedQueryConfig.Heads(hidden / 64, hidden / 64, 64);
    return new SyntheticModel("synthetic-64", layers, hidden, vocabulary, heads, hidden / 2, 64);
  }

  /** True if {@code name} has the form of {@link #named}. */
  static boolean isNamed(String name) {
    Matcher matcher = NAME.matcher(name);
    return matcher.matches() && NAMED.containsKey(matcher.group(1));
  }

  /**
   * Parses {@code synthetic-64} or {@code qwen3-0.6b}, or such a name with a number of layers:
   * {@code synthetic-64:14}.
   *
   * @throws IllegalArgumentException if there are no layers
   */
  static SyntheticModel named(String name) {
    Matcher matcher = NAME.matcher(name);
    Require.that(isNamed(name) && matcher.matches(), "there is no model '%s'", name);
    SyntheticModel usual = NAMED.get(matcher.group(1));
    int layers = matcher.group(2) == null ? usual.layers : Integer.parseInt(matcher.group(2));
    Require.that(layers != 0, "%s has no layers, expected 1 to 999", name);
    return new SyntheticModel(
        usual.name,
        layers,
        usual.hidden,
        usual.vocabulary,
        usual.heads,
        usual.inner,
        usual.experts);
  }

  /**
   * Its file in {@code panamoe/models} of the user's cache folder, written on first use.
   *
   * @param matrices stored dtype of the matrices
   * @param progress receives the written part, 0 to 1
   */
  Path inCache(DType matrices, DoubleConsumer progress) throws IOException {
    Path folder =
        UserFolder.CACHE
            .path(System.getenv(), "models")
            .orElseThrow(() -> new IOException("there is no cache folder: set XDG_CACHE_HOME"));
    return in(folder, matrices, progress);
  }

  /** Its file in {@code folder}, written on first use. */
  Path in(Path folder, DType matrices, DoubleConsumer progress) throws IOException {
    String name = Words.of("%s-%dx%d-%s.gguf", this.name, layers, hidden, matrices.name());
    Path file = folder.resolve(name.toLowerCase(Locale.ROOT));
    GgufWriter writer = writer(matrices);
    if (!writer.isAt(file)) {
      WholeOrNothing.replace(file, hidden -> writer.write(hidden, progress));
    }
    return file;
  }

  private GgufWriter writer(DType matrices) {
    GgufWriter file = new GgufWriter();
    putConfig(file);
    putVocabulary(file);
    RandomWeights weights = new RandomWeights(SEED);
    long queries = (long) heads.query() * heads.size();
    long keys = (long) heads.keyValue() * heads.size();
    add(file, weights, "token_embd", matrices, experts == 0 ? hidden : 1, vocabulary, hidden);
    add(file, weights, "output_norm", DType.FLOAT32, 0, hidden);
    if (experts > 0) {
      add(file, weights, "output", matrices, hidden, vocabulary, hidden);
    }
    for (int layer = 0; layer < layers; layer++) {
      String in = "blk." + layer + ".";
      add(file, weights, in + "attn_norm", DType.FLOAT32, 0, hidden);
      add(file, weights, in + "attn_q", matrices, hidden, queries, hidden);
      add(file, weights, in + "attn_k", matrices, hidden, keys, hidden);
      add(file, weights, in + "attn_v", matrices, hidden, keys, hidden);
      add(file, weights, in + "attn_output", matrices, (int) queries, hidden, queries);
      add(file, weights, in + "attn_q_norm", DType.FLOAT32, 0, heads.size());
      add(file, weights, in + "attn_k_norm", DType.FLOAT32, 0, heads.size());
      add(file, weights, in + "ffn_norm", DType.FLOAT32, 0, hidden);
      if (experts == 0) {
        add(file, weights, in + "ffn_gate", matrices, hidden, inner, hidden);
        add(file, weights, in + "ffn_up", matrices, hidden, inner, hidden);
        add(file, weights, in + "ffn_down", matrices, inner, hidden, inner);
      } else {
        add(file, weights, in + "ffn_gate_inp", DType.FLOAT32, hidden, experts, hidden);
        add(file, weights, in + "ffn_gate_exps", matrices, hidden, experts, inner, hidden);
        add(file, weights, in + "ffn_up_exps", matrices, hidden, experts, inner, hidden);
        add(file, weights, in + "ffn_down_exps", matrices, inner, experts, hidden, inner);
      }
    }
    return file;
  }

  /**
   * @param inputs number of inputs, which scales the weights to preserve variance; 0 for a norm's
   *     ones
   */
  private static void add(
      GgufWriter file, RandomWeights weights, String name, DType dtype, int inputs, long... shape) {
    file.add(
        name + ".weight",
        dtype,
        shape,
        () ->
            inputs == 0
                ? List.of(RandomWeights.ones(shape))
                : weights.parts(name, dtype, 1 / Math.sqrt(inputs), shape));
  }

  private void putConfig(GgufWriter file) {
    String architecture = experts == 0 ? "qwen3" : "qwen3moe";
    String in = architecture + ".";
    file.put("general.architecture", architecture);
    file.put("general.name", name);
    file.put(in + "vocab_size", vocabulary);
    file.put(in + "context_length", experts == 0 ? 40_960 : 4096);
    file.put(in + "embedding_length", hidden);
    file.put(in + "block_count", layers);
    file.put(in + "feed_forward_length", inner);
    if (experts > 0) {
      file.put(in + "expert_feed_forward_length", inner);
      file.put(in + "expert_count", experts);
      file.put(in + "expert_used_count", CHOSEN);
    }
    file.put(in + "attention.head_count", heads.query());
    file.put(in + "attention.head_count_kv", heads.keyValue());
    file.put(in + "attention.key_length", heads.size());
    file.put(in + "attention.value_length", heads.size());
    file.put(in + "attention.layer_norm_rms_epsilon", 1e-6f);
    file.put(in + "rope.freq_base", experts == 0 ? 1e6f : 10_000f);
  }

  /** The byte-level tokenizer's characters for all bytes, then unused names. */
  private void putVocabulary(GgufWriter file) {
    List<String> tokens = new ArrayList<>();
    int others = 256;
    for (int value = 0; value < 256; value++) {
      boolean printed = value > ' ' && value < 127 || value > 160 && value != 173;
      tokens.add(Character.toString(printed ? value : others++));
    }
    int[] types = new int[vocabulary];
    Arrays.fill(types, 0, tokens.size(), NORMAL);
    Arrays.fill(types, tokens.size(), vocabulary, UNUSED);
    IntStream.range(tokens.size(), vocabulary).forEach(i -> tokens.add("<|" + i + "|>"));
    file.put("tokenizer.ggml.model", "gpt2");
    file.put("tokenizer.ggml.pre", "gpt-2");
    file.put("tokenizer.ggml.tokens", tokens);
    file.put("tokenizer.ggml.token_type", types);
    file.put("tokenizer.ggml.merges", List.<String>of());
    file.put("tokenizer.ggml.eos_token_id", vocabulary - 1);
  }
}

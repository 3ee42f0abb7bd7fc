package panamoe.lab.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.io.Require;
import panamoe.io.UserCache;
import panamoe.io.WholeOrNothing;
import panamoe.io.Words;
import panamoe.tensor.DType;

/**
 * A model with random weights in a GGUF file of llama.cpp's architecture qwen3moe: top-8 of 64
 * experts, RMSNorm, rotary positions, equally many query and key heads. A token is a byte or an
 * unused name.
 *
 * @param layers number, all with experts
 * @param hidden width, in heads of 64; the experts' inner width is half of it
 * @param vocabulary more than 256
 */
record SyntheticModel(int layers, int hidden, int vocabulary) {
  private static final Pattern NAME = Pattern.compile("synthetic-64(?::(\\d{1,3}))?");
  private static final int LAYERS = 6;
  private static final int HIDDEN = 1024;
  private static final int VOCABULARY = 32_000;
  private static final int EXPERTS = 64;
  private static final int CHOSEN = 8;
  private static final int HEAD_SIZE = 64;
  private static final int CONTEXT = 4096;
  private static final int SEED = 64;
  private static final int NORMAL = 1; // a token type of GGUF
  private static final int UNUSED = 5;

  /** True if {@code name} has the form of {@link #named}. */
  static boolean isNamed(String name) {
    return NAME.matcher(name).matches();
  }

  /**
   * Parses {@code synthetic-64} (six layers) or {@code synthetic-64:N} (N layers).
   *
   * @throws IllegalArgumentException if there are no layers
   */
  static SyntheticModel named(String name) {
    Matcher matcher = NAME.matcher(name);
    Require.that(matcher.matches(), "there is no model '%s'", name);
    int layers = matcher.group(1) == null ? LAYERS : Integer.parseInt(matcher.group(1));
    Require.that(layers != 0, "%s has no layers, expected 1 to 999", name);
    return new SyntheticModel(layers, HIDDEN, VOCABULARY);
  }

  /**
   * Its file in {@code panamoe/models} of the user's cache folder, written on first use.
   *
   * @param matrices stored dtype of the matrices
   * @param progress receives the written part, 0 to 1
   */
  Path inCache(DType matrices, DoubleConsumer progress) throws IOException {
    Path folder =
        UserCache.folder(System.getenv(), "models")
            .orElseThrow(() -> new IOException("there is no cache folder: set XDG_CACHE_HOME"));
    return in(folder, matrices, progress);
  }

  /** Its file in {@code folder}, written on first use. */
  Path in(Path folder, DType matrices, DoubleConsumer progress) throws IOException {
    String name = Words.of("synthetic-64-%dx%d-%s.gguf", layers, hidden, matrices.name());
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
    int inner = hidden / 2;
    add(file, weights, "token_embd", matrices, 1, vocabulary, hidden);
    add(file, weights, "output_norm", DType.FLOAT32, 0, hidden);
    add(file, weights, "output", matrices, hidden, vocabulary, hidden);
    for (int layer = 0; layer < layers; layer++) {
      String in = "blk." + layer + ".";
      add(file, weights, in + "attn_norm", DType.FLOAT32, 0, hidden);
      for (String part : List.of("attn_q", "attn_k", "attn_v", "attn_output")) {
        add(file, weights, in + part, matrices, hidden, hidden, hidden);
      }
      add(file, weights, in + "attn_q_norm", DType.FLOAT32, 0, HEAD_SIZE);
      add(file, weights, in + "attn_k_norm", DType.FLOAT32, 0, HEAD_SIZE);
      add(file, weights, in + "ffn_norm", DType.FLOAT32, 0, hidden);
      add(file, weights, in + "ffn_gate_inp", DType.FLOAT32, hidden, EXPERTS, hidden);
      add(file, weights, in + "ffn_gate_exps", matrices, hidden, EXPERTS, inner, hidden);
      add(file, weights, in + "ffn_up_exps", matrices, hidden, EXPERTS, inner, hidden);
      add(file, weights, in + "ffn_down_exps", matrices, inner, EXPERTS, hidden, inner);
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
    String in = "qwen3moe.";
    file.put("general.architecture", "qwen3moe");
    file.put("general.name", "synthetic-64");
    file.put(in + "vocab_size", vocabulary);
    file.put(in + "context_length", CONTEXT);
    file.put(in + "embedding_length", hidden);
    file.put(in + "block_count", layers);
    file.put(in + "feed_forward_length", hidden / 2);
    file.put(in + "expert_feed_forward_length", hidden / 2);
    file.put(in + "expert_count", EXPERTS);
    file.put(in + "expert_used_count", CHOSEN);
    file.put(in + "attention.head_count", hidden / HEAD_SIZE);
    file.put(in + "attention.head_count_kv", hidden / HEAD_SIZE);
    file.put(in + "attention.key_length", HEAD_SIZE);
    file.put(in + "attention.value_length", HEAD_SIZE);
    file.put(in + "attention.layer_norm_rms_epsilon", 1e-6f);
    file.put(in + "rope.freq_base", 10_000f);
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

package panamoe.lab.conformance.llamacpp;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.data.Tokenizer;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.peer.PeerProcess;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;
import tools.jackson.databind.json.JsonMapper;

/**
 * Compares a GGUF file with its tokenizer in libllama and in Panamoe on a text: its tokens, its
 * perplexity, and greedy tokens after its beginning.
 */
public final class TextComparison {
  /** The text's tokens that are used. */
  private static final int MOST_TOKENS = 512;

  private static final int PROMPT = 64;
  private static final int WRITTEN = 64;

  /** Of the perplexity, whose matrices libllama may multiply in fewer bits. */
  private static final double TOLERANCE = 0.01;

  private TextComparison() {}

  /**
   * A request to libllama: the tokens of a text, their log-likelihood, and a greedy completion.
   *
   * @param reading the GGUF file
   * @param most tokens of the text that are scored
   * @param prompt tokens before the completion
   * @param count tokens of the completion
   */
  public record Question(
      String reading, String text, int threads, int most, int prompt, int count) {}

  /**
   * The response.
   *
   * @param tokens of the whole text, as a prompt
   * @param nats the negative log-likelihood of all scored tokens but the first
   * @param ids the completion
   */
  public record Answer(int[] tokens, double nats, int[] ids) {}

  /**
   * The result.
   *
   * @param tokens scored
   * @param alike whether all tokens of the text are the same
   * @param perplexity ours
   * @param chosen number of libllama's greedy tokens that ours chooses too
   * @param written greedy tokens of libllama
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  public record Result(
      String name,
      int tokens,
      boolean alike,
      double perplexity,
      double llamaPerplexity,
      int chosen,
      int written,
      @JsonProperty boolean passed) {
    /** In one line. */
    public String line() {
      return Words.of(
          "%s %s: %d tokens %s, perplexity %.4f here and %.4f in libllama, %d of %d greedy tokens",
          passed ? "ok  " : "FAIL",
          name,
          tokens,
          alike ? "alike" : "that differ",
          perplexity,
          llamaPerplexity,
          chosen,
          written);
    }
  }

  /**
   * Compares; with float32 weights every greedy token must be ours too.
   *
   * @param threads of libllama
   * @throws IOException if the text cannot be read or libllama refuses the file
   */
  public static Result compare(
      Path file, Path text, Backend backend, PeerProcess llama, int threads) throws IOException {
    ModelFolder folder = ModelFolder.open(file);
    Tokenizer tokenizer = folder.tokenizer();
    String words = Files.readString(text);
    int[] own =
        IntStream.concat(Arrays.stream(tokenizer.prefix()), Arrays.stream(tokenizer.encode(words)))
            .toArray();
    int context = folder.config().context();
    int tokens = Math.min(own.length, Math.min(MOST_TOKENS, context));
    Require.that(
        tokens > PROMPT && context >= PROMPT + WRITTEN,
        "%s has %s tokens and the model a context of %s, expected more than %s and at least %s",
        text,
        own.length,
        context,
        PROMPT,
        PROMPT + WRITTEN);
    Answer theirs =
        JsonMapper.shared()
            .convertValue(
                llama.ask(
                    new Question(
                        file.toAbsolutePath().toString(), words, threads, tokens, PROMPT, WRITTEN)),
                Answer.class);
    boolean exact;
    try (TensorFiles files = folder.weights().open()) {
      exact = files.tensors().values().stream().allMatch(t -> t.type() == StoredType.F32);
    }
    int vocabulary = folder.config().vocabulary();
    double nats = 0;
    int chosen = 0;
    DType compute = exact ? DType.FLOAT32 : DType.BFLOAT16;
    try (ModelReplay model = new ModelReplay(backend, folder, folder.typesAsStored(compute))) {
      float[] logits = model.logits(longs(Arrays.copyOf(own, tokens)));
      for (int i = 1; i < tokens; i++) {
        nats += nats(row(logits, i - 1, vocabulary), own[i]);
      }
      int[] continued =
          IntStream.concat(Arrays.stream(own).limit(PROMPT), Arrays.stream(theirs.ids())).toArray();
      logits = model.logits(longs(continued));
      for (int i = 0; i < WRITTEN; i++) {
        int ours = ModelReplay.largest(row(logits, PROMPT - 1 + i, vocabulary));
        chosen += ours == theirs.ids()[i] ? 1 : 0;
      }
    }
    boolean alike = Arrays.equals(own, theirs.tokens());
    double perplexity = Math.exp(nats / (tokens - 1));
    double llamas = Math.exp(theirs.nats() / (tokens - 1));
    boolean near = Math.abs(perplexity / llamas - 1) < TOLERANCE;
    boolean passed = alike && near && (chosen == WRITTEN || !exact);
    String name = file.getFileName().toString();
    return new Result(name, tokens, alike, perplexity, llamas, chosen, WRITTEN, passed);
  }

  /** The negative log-likelihood of a token by the logits before it. */
  public static double nats(float[] logits, int token) {
    double largest = logits[ModelReplay.largest(logits)];
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - largest);
    }
    return Math.log(sum) + largest - logits[token];
  }

  private static float[] row(float[] logits, int row, int vocabulary) {
    return Arrays.copyOfRange(logits, row * vocabulary, (row + 1) * vocabulary);
  }

  private static long[] longs(int[] tokens) {
    return Arrays.stream(tokens).asLongStream().toArray();
  }
}

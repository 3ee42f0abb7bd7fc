package panamoe.harness.train;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.template.ChatTemplate;
import panamoe.data.tokenizer.BpeTrainer;
import panamoe.data.tokenizer.TrainedBpe;
import panamoe.engine.ModelFolder;
import panamoe.engine.StoredWeights;
import panamoe.io.PlainFolder;

/**
 * A new run's tokenizer.
 *
 * @param files the contents of its files, {@code tokenizer.json} among them; empty for bytes
 */
public record RunTokenizer(Tokenizer tokenizer, Map<String, byte[]> files) {
  /** The files that a tokenizer may have; all but the first are a released model's. */
  static final List<String> FILES =
      List.of(
          ModelFolder.TOKENIZER, ModelFolder.GENERATION, ChatTemplate.CONFIG, ChatTemplate.FILE);

  private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;

  /**
   * Reads a tokenizer's file.
   *
   * @param file null for bytes
   */
  public static RunTokenizer read(Path file) throws IOException {
    return file == null
        ? new RunTokenizer(new ByteTokenizer(), Map.of())
        : new RunTokenizer(
            JsonTokenizer.load(file), Map.of(ModelFolder.TOKENIZER, Files.readAllBytes(file)));
  }

  /** The tokenizer of a model, with what lies beside it if it is a released one. */
  public static RunTokenizer of(ModelFolder model) throws IOException {
    Path file = model.tokenizerFile().orElse(null);
    boolean here = model.weights() instanceof StoredWeights.Saved;
    if (file == null || here && !ModelFolder.isReleased(file)) {
      return read(file);
    }
    PlainFolder beside = new PlainFolder(model.home());
    Map<String, byte[]> files = new HashMap<>();
    for (String name : FILES) {
      if (beside.has(name)) {
        files.put(name, beside.read(name));
      }
    }
    files.computeIfAbsent(ModelFolder.GENERATION, _ -> ends(model.tokenizer()));
    return new RunTokenizer(model.tokenizer(), files);
  }

  private static byte[] ends(Tokenizer tokenizer) {
    ObjectNode keys = JsonNodeFactory.instance.objectNode();
    ArrayNode ends = keys.putArray("eos_token_id");
    Arrays.stream(tokenizer.ends()).forEach(ends::add);
    return (keys.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
  }

  static RunTokenizer of(TrainedBpe trained) {
    byte[] json = trained.json();
    return new RunTokenizer(
        JsonTokenizer.of(json, "the trained tokenizer"), Map.of(ModelFolder.TOKENIZER, json));
  }

  /**
   * Trains a tokenizer on the training part of a text; see below.
   *
   * @throws panamoe.data.DataException if the text gives fewer tokens
   */
  static RunTokenizer of(Text text, int vocabulary, int threads, PrintWriter err)
      throws InterruptedException {
    return of(train(text.corpus().passages(Corpus.Part.TRAINING), vocabulary, threads, err));
  }

  /**
   * Trains a tokenizer and prints, every few seconds, how far it is.
   *
   * @param threads 0 for one per processor
   */
  static TrainedBpe train(List<String> texts, int vocabulary, int threads, PrintWriter err)
      throws InterruptedException {
    err.println("training a tokenizer");
    int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    return BpeTrainer.train(texts, vocabulary, count, new Lines(err));
  }

  private static final class Lines implements BpeTrainer.Progress {
    private final PrintWriter err;
    private long lastLine = System.nanoTime();

    Lines(PrintWriter err) {
      this.err = err;
    }

    @Override
    public synchronized void reached(String what, long done, long of) {
      if (System.nanoTime() - lastLine >= NANOS_BETWEEN_LINES) {
        lastLine = System.nanoTime();
        err.printf(Locale.ROOT, "%,d of %,d %s%n", done, of, what);
      }
    }
  }
}

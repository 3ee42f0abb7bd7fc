package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.data.tokenizer.BpeTrainer;
import panamoe.data.tokenizer.TrainedBpe;
import panamoe.io.RegularFile;
import panamoe.io.Words;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;

/**
 * A new run's tokenizer.
 *
 * @param files contents of its files, including {@code tokenizer.json}; empty for bytes
 */
public record RunTokenizer(Tokenizer tokenizer, Map<String, byte[]> files) {
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
            JsonTokenizer.load(RegularFile.named(file)),
            Map.of(TokenizerFiles.TOKENIZER, Files.readAllBytes(file)));
  }

  /** The tokenizer of a model, with all its files. */
  public static RunTokenizer of(ModelFolder model) {
    return new RunTokenizer(model.tokenizer(), model.tokenizerFiles().contents());
  }

  static RunTokenizer of(TrainedBpe trained) {
    byte[] json = trained.json();
    return new RunTokenizer(
        JsonTokenizer.of(json, "the trained tokenizer"), Map.of(TokenizerFiles.TOKENIZER, json));
  }

  /**
   * Trains a tokenizer on the training part of a text.
   *
   * @throws panamoe.io.DataException if the text gives fewer tokens
   */
  static RunTokenizer of(TrainingText text, int vocabulary, int threads, PrintWriter err)
      throws InterruptedException {
    return of(train(text.corpus().passages(Corpus.Part.TRAINING), vocabulary, threads, err));
  }

  /** Trains a tokenizer and prints its progress every few seconds. */
  static TrainedBpe train(List<String> texts, int vocabulary, int threads, PrintWriter err)
      throws InterruptedException {
    err.println("training a tokenizer");
    return BpeTrainer.train(texts, vocabulary, threads, new Lines(err));
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
        err.println(Words.of("%,d of %,d %s", done, of, what));
      }
    }
  }
}

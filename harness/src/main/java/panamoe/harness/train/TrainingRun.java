package panamoe.harness.train;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import panamoe.backend.Backend;
import panamoe.data.Corpus;
import panamoe.data.Tokenizer;
import panamoe.data.TrainingData;
import panamoe.harness.SharedOptions;
import panamoe.harness.TrainingProgress;
import panamoe.harness.report.Report;
import panamoe.model.LanguageModel;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.StepMetrics;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;
import panamoe.train.TrainingFailure;

/** One run from its first or its last saved step to its end, and what it leaves behind. */
final class TrainingRun {
  /**
   * How a run ended.
   *
   * @param bitsPerByte on the validation text
   * @param seconds that this process trained
   */
  record Outcome(Path folder, long steps, long tokens, double bitsPerByte, double seconds, Path report) {
    String toJson() {
      return new JsonMapper()
          .valueToTree(
              new TreeMap<>(
                  Map.of(
                      "folder", folder.toString(),
                      "steps", steps,
                      "tokens", tokens,
                      "validation_bits_per_byte", bitsPerByte,
                      "seconds", seconds,
                      "report", report.toString())))
          .toString();
    }

    @Override
    public String toString() {
      return "trained %,d steps on %,d tokens in %.0f s; validation %.4f bits per byte%nreport: %s"
          .formatted(steps, tokens, seconds, bitsPerByte, report);
    }
  }

  private final SharedOptions shared;
  private final RunFolder folder;
  private final RunConfig config;
  private final Text text;
  private final PrintWriter err;

  TrainingRun(SharedOptions shared, RunFolder folder, RunConfig config, Text text, PrintWriter err) {
    this.shared = shared;
    this.folder = folder;
    this.config = config;
    this.text = text;
    this.err = err;
  }

  Outcome run() throws IOException, InterruptedException {
    err.println("text: " + text.source());
    Tokenizer tokenizer = folder.tokenizer();
    if (tokenizer.vocabularySize() != config.model().vocabulary()) {
      throw new IllegalArgumentException(
          "model.vocabulary is "
              + config.model().vocabulary()
              + " but the tokenizer has "
              + tokenizer.vocabularySize()
              + " tokens");
    }
    TrainingData data =
        new TrainingData(text.corpus(), tokenizer, config.training().sequence(), config.seed());
    try (Backend backend = shared.open();
        LanguageModel model = new LanguageModel(config.model())) {
      model.materialize(backend, config.training().dtype(), true, config.seed());
      err.printf(
          "model: %,d parameters, experts by layer %s, on %s%n",
          model.parameters().count(), config.model().experts(), backend.name());
      Trainer trainer = new Trainer(backend, model, config, data);
      RunCheckpoints checkpoints = new RunCheckpoints(trainer, folder.checkpoints());
      checkpoints.restore().ifPresent(warnings -> resumed(trainer.step(), warnings));
      folder.rewindMetrics(trainer.step());
      long start = System.nanoTime();
      double bits = train(trainer, checkpoints);
      double seconds = (System.nanoTime() - start) / 1e9;
      if (text.multilingual() && config.model().hasExperts()) {
        err.println("asking which experts each language uses");
        List<String> passages = text.corpus().passages(Corpus.Part.VALIDATION);
        folder.replace("routing.json", new LanguageRouting(backend, model, tokenizer).of(passages));
      }
      Path report = Report.write(folder.path());
      return new Outcome(
          folder.path(),
          trainer.step(),
          trainer.step() * config.training().tokensPerStep(),
          bits,
          seconds,
          report);
    }
  }

  /** Trains to the end; returns the last validation's bits per byte. */
  private double train(Trainer trainer, RunCheckpoints checkpoints)
      throws IOException, InterruptedException {
    TrainConfig training = config.training();
    Optional<Double> bits = Optional.empty();
    try (TrainingProgress progress = TrainingProgress.onStandardError(trainer.step(), training.steps())) {
      while (!trainer.finished()) {
        StepMetrics metrics = trainer.next();
        if (trainer.finished() || due(trainer.step(), training.evaluateEvery())) {
          bits = Optional.of(trainer.evaluate());
          metrics = metrics.withValidation(bits.get());
        }
        folder.append(metrics);
        progress.finished(metrics.step(), metrics.loss(), metrics.bitsPerByte(), metrics.tokensPerSecond());
        // Cleared, since files cannot be written by a thread that is interrupted.
        boolean interrupted = Thread.interrupted();
        if (trainer.finished() || interrupted || due(trainer.step(), training.checkpointEvery())) {
          checkpoints.save();
        }
        if (interrupted) {
          err.printf("stopped after step %d, which is saved; --resume goes on from there%n", trainer.step());
          throw new InterruptedException();
        }
      }
    } catch (TrainingFailure e) {
      throw new IOException(e.getMessage() + "; the last good checkpoint in " + folder.checkpoints() + " is kept", e);
    }
    return bits.isPresent() ? bits.get() : trainer.evaluate();
  }

  private void resumed(long step, List<String> warnings) {
    err.printf("going on after step %d, from %s%n", step, folder.checkpoints());
    warnings.forEach(warning -> err.println("warning: " + warning));
  }

  private static boolean due(long step, int every) {
    return every > 0 && step % every == 0;
  }
}

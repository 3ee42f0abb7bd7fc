package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.comm.Communicator;
import panamoe.comm.Traffic;
import panamoe.data.Corpus;
import panamoe.data.TokenSequences;
import panamoe.distill.Distillation;
import panamoe.engine.routes.RouteFile;
import panamoe.harness.TrainingProgress;
import panamoe.harness.Version;
import panamoe.harness.doctor.SystemFile;
import panamoe.harness.report.AdaptedParts;
import panamoe.harness.report.LiveReport;
import panamoe.harness.report.Report;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.tensor.DType;
import panamoe.train.DirectPreference;
import panamoe.train.Objective;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.StepMetrics;
import panamoe.train.Trainer;
import panamoe.train.TrainingFailure;
import panamoe.train.TrainingLoop;
import panamoe.train.TrainingProcess;
import panamoe.train.Validation;

/**
 * Trains one run from its first or last saved step to its end, and writes its files.
 *
 * @param teacherCache folder of the teacher's cache; null: the teacher runs in every step
 * @param fresh whether the run is new, not resumed
 * @param caller receives rank 0's messages
 */
record TrainingRun(
    Ranks ranks,
    Backend backend,
    RunFolder folder,
    RunConfig config,
    TrainingInputs material,
    Path teacherCache,
    boolean fresh,
    Invocation caller) {
  /**
   * Trains to the end and writes the report. Collective; the first rank writes.
   *
   * @param stop whether to save and end after the current step
   * @return empty if it was stopped
   */
  Optional<TrainingResult> run(BooleanSupplier stop) throws IOException {
    print("text: %s", material.text().source());
    Optional<Checkpoint> latest = RunCheckpoints.latest(folder.checkpoints(), config, ranks);
    try (LanguageModel model = model();
        Objective objective = objective();
        RouteFile routes = routes()) {
      print(
          "model: %s, experts by layer %s, on %s%s",
          AdaptedParts.counted(config),
          config.model().experts(),
          backend.name(),
          ranks.world().size() == 1 ? "" : Words.of(", %d ranks", ranks.world().size()));
      TokenSequences data =
          Distillation.data(config, material.data(), material.tokenizer(), backend, model);
      Trainer trainer = new Trainer(backend, model, config, data, objective);
      RunCheckpoints checkpoints = new RunCheckpoints(trainer, folder.checkpoints());
      latest
          .map(checkpoints::restore)
          .ifPresentOrElse(warnings -> resumed(trainer.step(), warnings), () -> begun(checkpoints));
      if (routes != null) {
        trainer.replay(routes);
        print(
            "routes: those of %s in %s",
            Count.of(routes.sequences(), "sequence"), material.routes());
      }
      if (ranks.first()) { // only after the restore: a run that cannot continue stays unchanged
        metrics().rewind(trainer.step()); // first: it refuses a damaged file
        folder.reconfigure(config);
        folder.history().add(trainedBy());
      }
      long before = trainer.step();
      long start = System.nanoTime();
      Optional<Validation.Score> score = train(trainer, checkpoints, stop);
      if (score.isEmpty()) {
        return Optional.empty();
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      printTraffic();
      if (config.model().hasExperts()) {
        read(new RouteProbe(backend, model, material.tokenizer()));
      }
      return Optional.of(
          new TrainingResult(
              folder.path(),
              before,
              trainer.step(),
              config.training().batch().tokens(),
              new TrainingResult.Validated(
                  score.get(),
                  Validation.losses(config.training(), material.data()),
                  trainer.bestStep()),
              seconds,
              ranks.first() ? Report.write(folder.path()) : null));
    }
  }

  /** The routes to replay; null: gates choose. */
  private RouteFile routes() {
    return material.routes() == null ? null : RouteFile.open(material.routes(), config.model());
  }

  private MetricsFile metrics() {
    return new MetricsFile(folder.files());
  }

  private void print(String pattern, Object... values) {
    if (ranks.first()) {
      caller.err().println(Words.of(pattern, values));
    }
  }

  private TrainingProcess trainedBy() throws IOException {
    return new TrainingProcess(
        Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
        caller.command(),
        Version.built(),
        SystemFile.processor()
            + ", "
            + Count.of(Runtime.getRuntime().availableProcessors(), "thread"),
        backend.name(),
        ranks.world().size(),
        material.text().attribution());
  }

  /** Records the experts of validation tokens for the report. */
  private void read(RouteProbe reading) {
    if (material.text().multilingual()) {
      print("measuring which experts each language uses");
      List<String> passages = material.text().corpus().passages(Corpus.Part.VALIDATION);
      write(RunFolder.ROUTING, new LanguageRouting(reading).of(passages));
    }
    write(RunFolder.READING, new ValidationTexts(reading).of(material));
  }

  private void write(String name, String content) {
    if (ranks.first()) {
      folder.replace(name, content);
    }
  }

  /** The model with memory, or a loaded model with new adapters. */
  private LanguageModel model() {
    DType compute = config.training().dtype();
    if (config.adapters() == null) {
      LanguageModel model = new LanguageModel(config.model(), ranks);
      model.materialize(backend, compute, true, config.seed());
      return model;
    }
    List<String> warnings = new ArrayList<>();
    LanguageModel model =
        config
            .base()
            .load(
                config.model(),
                config.adapters(),
                backend,
                compute,
                config.seed(),
                ranks,
                warnings);
    warn(warnings);
    return model;
  }

  /** Trains to the end; returns the last validation's score, empty if it was stopped. */
  private Optional<Validation.Score> train(
      Trainer trainer, RunCheckpoints checkpoints, BooleanSupplier stop) throws IOException {
    LiveReport report = new LiveReport(folder.path(), warning -> warn(List.of(warning)));
    try (TrainingProgress progress =
        ranks.first()
            ? TrainingProgress.onStandardError(trainer.step(), config.training().schedule().steps())
            : null) {
      TrainingLoop.Listener listener =
          ranks.first() ? new Writer(trainer, progress, report) : TrainingLoop.Listener.NONE;
      Optional<Validation.Score> score = new TrainingLoop(trainer, checkpoints, stop).run(listener);
      if (score.isEmpty()) {
        report.stop();
        print(
            "stopped after step %d, which is saved; continue it by %s",
            trainer.step(), caller.again());
      }
      return score;
    } catch (TrainingFailure e) {
      report.stop();
      throw new IOException(e.getMessage() + "; " + kept(), e);
    }
  }

  /** Writes metrics, samples and the report of the first rank. */
  private final class Writer implements TrainingLoop.Listener {
    private final Trainer trainer;
    private final TrainingProgress progress;
    private final LiveReport report;

    Writer(Trainer trainer, TrainingProgress progress, LiveReport report) {
      this.trainer = trainer;
      this.progress = progress;
      this.report = report;
    }

    @Override
    public void finished(StepMetrics metrics) throws IOException {
      metrics().append(metrics);
      progress.finished(
          metrics.step(), metrics.loss(), metrics.bitsPerByte(), metrics.tokensPerSecond());
      if (caller.samples() && metrics.validation() != null) {
        String sample = sample(trainer.model(), metrics);
        progress.printAbove(() -> caller.err().println(sample));
      }
      if (!trainer.finished()) { // the last one is written with what the trained model is asked
        report.finishedStep();
      }
    }

    @Override
    public void saving() throws IOException {
      metrics().force();
    }

    @Override
    public void saved(SaveReport saved) {
      progress.printAbove(() -> warn(saved.warnings()));
    }
  }

  private String kept() {
    try {
      return new CheckpointStore(folder.checkpoints(), 1)
          .latest()
          .map(checkpoint -> "the last checkpoint, " + checkpoint + ", is kept")
          .orElse("no checkpoint was saved");
    } catch (CheckpointException e) {
      return e.getMessage();
    }
  }

  /** Prints the traffic of all ranks, counted independently of the communicator. */
  private void printTraffic() {
    Communicator world = ranks.world();
    if (world.size() > 1) {
      Traffic mine = world.traffic();
      long[] all = {mine.nearMessages(), mine.nearBytes(), mine.farMessages(), mine.farBytes()};
      Arrays.setAll(all, i -> Math.round(world.allReduce((double) all[i])));
      print(
          "sent: %s, %s within nodes; %s, %s between nodes",
          Count.of(all[0], "message"),
          Count.of(all[1], "byte"),
          Count.of(all[2], "message"),
          Count.of(all[3], "byte"));
    }
  }

  private void resumed(long step, List<String> warnings) {
    String start =
        step == 0 ? "beginning with the weights in " : "continuing after step " + step + ", from ";
    print("%s%s", start, folder.checkpoints());
    warn(warnings);
  }

  private void warn(List<String> warnings) {
    warnings.forEach(warning -> print("warning: %s", warning));
  }

  private Objective objective() {
    if (config.preference() != null) {
      return new DirectPreference(config.preference(), material.data(), folder);
    }
    if (material.teacher() == null) {
      return Objective.LANGUAGE_MODELLING;
    }
    ModelFolder teacher = material.teacher();
    print("teacher: %s", teacher.checkpoint().directory());
    if (teacherCache == null) {
      return Distillation.from(config, teacher, backend);
    }
    String text = material.text().tokens().sha256();
    return Distillation.cached(config, teacher, backend, material.data(), text, teacherCache);
  }

  /** A new run: a student starts from its teacher's layers. */
  private void begun(RunCheckpoints checkpoints) {
    if (material.teacher() != null && config.distillation().layers() != null) {
      KeptLayers kept = new KeptLayers(config.distillation().layers());
      checkpoints.startFrom(material.teacher().checkpoint(), kept);
    }
    if (!fresh) {
      print("the run has no checkpoint: it starts again from its first step");
    }
  }

  private String sample(LanguageModel model, StepMetrics metrics) {
    String text = DemoSamples.whileTraining(backend, model, material.tokenizer(), config.seed());
    return Words.of(
        "after step %,d, at %.2f bits per byte of the validation text, the model writes:%n%s",
        metrics.step(), metrics.validation().bitsPerByte(), text);
  }
}

package panamoe.spark;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.util.SerializableConfiguration;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.abi.DeviceInfo;
import panamoe.backend.abi.NativeBackend;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Strategy;
import panamoe.comm.nccl.NcclCommunicator;
import panamoe.comm.tcp.TcpRank;
import panamoe.comm.tcp.TcpWorld;
import panamoe.data.PreparedText;
import panamoe.data.TokenSequences;
import panamoe.data.TrainingData;
import panamoe.distill.Distillation;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import panamoe.parallel.BackendNcclDevice;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.train.Objective;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.StepMetrics;
import panamoe.train.Trainer;
import panamoe.train.TrainingLoop;
import panamoe.train.Validation;

/**
 * A rank of a training: one task of a barrier stage. A failure that another attempt would repeat is
 * the task's result, which ends the job; a lost rank fails the stage, which Spark then repeats, and
 * the ranks continue after the last checkpoint.
 */
final class RankTask implements FlatMapFunction<java.util.Iterator<Integer>, RankTask.Result> {
  private static final long serialVersionUID = 1;
  private static final System.Logger LOG = System.getLogger(RankTask.class.getName());
  private static final long STOP_NANOS = 1_000_000_000;

  /**
   * Settings of all ranks.
   *
   * @param config the text of config.json
   * @param data the folder of prepared tokens
   * @param teacher the folder of the teacher's run; null: none
   * @param device like that of {@link Backends#open}; auto: a GPU if Spark has assigned one
   */
  record Job(
      String config,
      String folder,
      String data,
      String teacher,
      Degrees degrees,
      String device,
      Transport transport)
      implements Serializable {
    Topology topology() {
      return new Topology(degrees.ranks, degrees.expert, degrees.tensor, degrees.expertSlices);
    }
  }

  /**
   * How the ranks meet.
   *
   * @param timeoutSeconds how long a rank waits for another
   * @param secret of the ranks
   */
  record Transport(int timeoutSeconds, String secret, boolean encrypted) implements Serializable {
    /** Without the secret. */
    @Override
    public String toString() {
      return "timeout " + timeoutSeconds + " s, " + (encrypted ? "encrypted" : "not encrypted");
    }
  }

  /** The degrees of a {@link Topology}. */
  record Degrees(int ranks, int expert, int tensor, int expertSlices) implements Serializable {}

  /**
   * How a rank ended.
   *
   * @param failure in a sentence; null: none
   */
  record Result(String failure, long steps, double bitsPerByte, boolean stopped)
      implements Serializable {
    static Result failed(String sentence) {
      return new Result(sentence, 0, Double.NaN, false);
    }
  }

  private final Job job;
  private final SerializableConfiguration settings;
  private final StepAccumulator progress;

  RankTask(Job job, SerializableConfiguration settings, StepAccumulator progress) {
    this.job = job;
    this.settings = settings;
    this.progress = progress;
  }

  /** What a rank has on its executor. */
  private record Begun(
      ClusterFolder folder,
      Path local,
      RunConfig config,
      TokenSequences data,
      ModelFolder teacher,
      Backend backend,
      String checkpoint) {}

  @Override
  public java.util.Iterator<Result> call(java.util.Iterator<Integer> rank) throws Exception {
    BarrierTaskContext context = BarrierTaskContext.get();
    try (TemporaryFolder local = TemporaryFolder.of("panamoe-rank-")) {
      return Stream.of(run(context, local.path())).iterator();
    }
  }

  private Result run(BarrierTaskContext context, Path local) throws Exception {
    Begun begun = null;
    RankOffer mine;
    try {
      begun = begin(context, local);
      mine = RankOffer.of(processor(begun.backend), begun.checkpoint);
    } catch (Exception | LinkageError e) {
      mine = RankOffer.failed(sentence(e));
    }
    try {
      List<RankOffer> all = RankOffer.parse(context.allGather(ConfigJson.text(mine)));
      Optional<String> refusal = RankOffer.refusal(all);
      if (refusal.isPresent()) {
        return Result.failed(refusal.get());
      }
      return agreed(context, begun, all);
    } finally {
      if (begun != null) {
        begun.backend.close();
      }
    }
  }

  /** Trains; all ranks learn whether one has failed, and why. */
  private Result agreed(BarrierTaskContext context, Begun begun, List<RankOffer> all)
      throws Exception {
    Result result = null;
    CommunicationException lost = null;
    String failure = "";
    try {
      result = meet(context.partitionId(), begun, all);
    } catch (CommunicationException e) {
      lost = e;
    } catch (Exception | Error e) {
      failure = sentence(e);
      LOG.log(System.Logger.Level.ERROR, failure, e);
    }
    // Does not return if an executor was lost: Spark ends this task with the stage. A rank that
    // hears nothing for one timeout has lost the world too, so one that is later still is stuck.
    String[] failures;
    try {
      Duration patience = Duration.ofSeconds(2L * job.transport.timeoutSeconds);
      failures = Cluster.allGather(context, failure, patience);
    } catch (IllegalStateException stuck) {
      String why = lost == null ? failure : lost.getMessage();
      throw new IllegalStateException(why + "; " + stuck.getMessage(), stuck);
    }
    for (int rank = 0; rank < failures.length; rank++) {
      if (!failures[rank].isEmpty()) {
        return Result.failed(
            Words.of("rank %s on %s: %s", rank, all.get(rank).host(), failures[rank]));
      }
    }
    if (lost != null) {
      throw lost;
    }
    return result;
  }

  private Begun begin(BarrierTaskContext context, Path local) throws Exception {
    Backend backend = open(context);
    try {
      ClusterFolder folder = new ClusterFolder(job.folder, settings.value());
      RunConfig config = ConfigJson.parse(job.config, RunConfig.class, "config.json");
      Path data = new ClusterFolder(job.data, settings.value()).fetch("", local.resolve("data"));
      PreparedText text = PreparedText.open(data);
      int length = config.training().batch().length();
      TokenSequences sequences =
          new TrainingData(
              text, TokenizerFiles.of(data).tokenizer().orElseThrow(), length, config.seed());
      ModelFolder teacher =
          job.teacher == null
              ? null
              : ModelFolder.ofRun(
                  new ClusterFolder(job.teacher, settings.value())
                      .fetchModel(local.resolve("teacher")));
      Files.createDirectory(local.resolve(ModelFolder.CHECKPOINTS));
      // One rank looks: the others could see a checkpoint that another attempt has just shown.
      String latest = context.partitionId() == 0 ? folder.latest().orElse(null) : null;
      return new Begun(folder, local, config, sequences, teacher, backend, latest);
    } catch (Exception | Error e) {
      backend.close();
      throw e;
    }
  }

  /** The device: a GPU that Spark has assigned to the task, or as many threads as it has cores. */
  private Backend open(BarrierTaskContext context) {
    String gpu =
        Optional.ofNullable(context.resourcesJMap().get("gpu"))
            .map(assigned -> assigned.addresses()[0])
            .orElse(null);
    if (gpu != null && List.of("auto", "cuda").contains(job.device)) {
      return Backends.open("cuda", 0, Integer.parseInt(gpu));
    }
    return Backends.open(job.device.equals("auto") ? "cpu" : job.device, context.cpus());
  }

  /** What a rank's bits depend on. */
  private static String processor(Backend backend) {
    if (backend instanceof NativeBackend computes) {
      DeviceInfo info = computes.deviceInfo();
      return info.asynchronous() ? info.name() + ", " + info.target() : info.target();
    }
    return backend.name();
  }

  private Result meet(int rank, Begun begun, List<RankOffer> all) throws Exception {
    Duration timeout = Duration.ofSeconds(job.transport.timeoutSeconds);
    RankOffer first = all.getFirst();
    if (first.checkpoint() != null) {
      String checkpoint = ModelFolder.CHECKPOINTS + "/" + first.checkpoint();
      begun.folder.fetch(checkpoint, begun.local.resolve(checkpoint));
    }
    TcpRank self =
        new TcpRank(
            rank,
            all.size(),
            first.host(),
            first.port(),
            job.transport.secret,
            job.transport.encrypted);
    Communicator met =
        TcpWorld.open(
            self,
            timeout,
            lost -> LOG.log(System.Logger.Level.WARNING, "rank " + rank + ": " + lost));
    Communicator world = met;
    Ranks ranks = null;
    try {
      boolean gpus = begun.backend instanceof NativeBackend n && n.deviceInfo().asynchronous();
      if (gpus) {
        world = NcclCommunicator.open(met, new BackendNcclDevice(begun.backend), timeout);
      }
      long machines = LongStream.of(world.allGather(world.node())).distinct().count();
      Overlap overlap = machines > 1 && !gpus ? new Overlap(true, 2) : Overlap.NONE;
      ranks = new Ranks(job.topology(), world, Strategy.AUTO, overlap);
      Result result = train(ranks, begun);
      close(ranks, world, met);
      return result;
    } catch (Throwable e) {
      met.abort(sentence(e)); // from here on no close waits for the others
      try {
        close(ranks, world, met);
      } catch (RuntimeException | Error also) {
        LOG.log(System.Logger.Level.WARNING, "after a failure: " + sentence(also));
      }
      throw e;
    }
  }

  /** Closes all of them, whatever one throws: the executor lives on, and may be a rank again. */
  private static void close(Ranks ranks, Communicator world, Communicator met) {
    try (met;
        world) {
      if (ranks != null) {
        ranks.close();
      }
    }
  }

  private Result train(Ranks ranks, Begun begun) throws IOException {
    RunConfig config = begun.config;
    Path checkpoints = begun.local.resolve(ModelFolder.CHECKPOINTS);
    try (LanguageModel model = new LanguageModel(config.model(), ranks);
        Objective objective =
            begun.teacher == null
                ? Objective.LANGUAGE_MODELLING
                : Distillation.from(config, begun.teacher, begun.backend)) {
      model.materialize(begun.backend, config.training().dtype(), true, config.seed());
      Trainer trainer = new Trainer(begun.backend, model, config, begun.data, objective);
      RunCheckpoints saved = new RunCheckpoints(trainer, checkpoints, begun.folder);
      RunCheckpoints.latest(checkpoints, config, ranks)
          .ifPresentOrElse(saved::restore, () -> startFromTeacher(begun, saved));
      TrainingLoop loop =
          new TrainingLoop(trainer, saved, ranks.first() ? stop(begun) : () -> false);
      Optional<Validation.Score> score =
          loop.run(ranks.first() ? new Writer(begun, trainer) : Writer.NONE);
      double bits = score.map(Validation.Score::bitsPerByte).orElse(Double.NaN);
      return new Result(null, trainer.step(), bits, score.isEmpty());
    }
  }

  private static void startFromTeacher(Begun begun, RunCheckpoints saved) {
    if (begun.teacher != null && begun.config.distillation().layers() != null) {
      KeptLayers kept = new KeptLayers(begun.config.distillation().layers());
      saved.startFrom(begun.teacher.checkpoint(), kept);
    }
  }

  /** Looks at most once a second whether the driver, or anybody else, has asked to stop. */
  private static BooleanSupplier stop(Begun begun) {
    long[] looked = {System.nanoTime() - STOP_NANOS};
    return () -> {
      if (System.nanoTime() - looked[0] < STOP_NANOS) {
        return false;
      }
      looked[0] = System.nanoTime();
      try {
        return begun.folder.has(MoeTraining.STOP);
      } catch (IOException e) {
        LOG.log(System.Logger.Level.WARNING, "cannot look for a wish to stop: " + e.getMessage());
        return false;
      }
    };
  }

  /** Writes metrics of the first rank, and tells the driver. */
  private final class Writer implements TrainingLoop.Listener {
    private final Begun begun;
    private final Path metrics;
    private final int steps;

    Writer(Begun begun, Trainer trainer) throws IOException {
      this.begun = begun;
      this.metrics = begun.local.resolve(RunFolder.METRICS);
      this.steps = begun.config.training().schedule().steps();
      if (begun.folder.has(RunFolder.METRICS)) {
        // Steps after the checkpoint are trained again.
        List<String> lines =
            new String(begun.folder.read(RunFolder.METRICS), UTF_8).lines().toList();
        Files.write(metrics, lines.subList(0, (int) Math.min(trainer.step(), lines.size())));
      }
    }

    @Override
    public void finished(StepMetrics step) throws IOException {
      StepAccumulator.Done done = StepAccumulator.Done.of(step, steps);
      progress.add(done);
      LOG.log(System.Logger.Level.INFO, done.words());
      Files.writeString(
          metrics, step.toJson() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    @Override
    public void saving() throws IOException {
      begun.folder.put(metrics, RunFolder.METRICS);
    }
  }

  private static String sentence(Throwable e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}

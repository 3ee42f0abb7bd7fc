package panamoe.spark;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.util.SerializableConfiguration;
import panamoe.data.Corpus;
import panamoe.data.PreparedText;
import panamoe.data.Tokenizer;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.open.TokenizerFiles;
import panamoe.train.ConfigDifference;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TextRecord;

/**
 * Trains or distils a model on the executors of a Spark application, a rank on each task of a
 * barrier stage. The run's folder is in a Hadoop file system; a run that is there already goes on
 * after its last checkpoint, with the same bits as without the break.
 *
 * {@snippet file="panamoe/spark/SparkExample.java" region="train"}
 *
 * <p>Used by one thread.
 */
public final class MoeTrainer {
  private static final String DATA = "data";
  private static final int SECRET_BITS = 128;

  private String config;
  private String folder;
  private String tokenizer;
  private String teacher;
  private int ranks = 1;
  private int expertDegree;
  private int tensorDegree = 1;
  private int expertSlices = 1;
  private String device = "auto";
  private int timeoutSeconds = 60;
  private boolean encrypted = true;

  /** A trainer whose configuration and folder are still to be set. */
  public MoeTrainer() {}

  /**
   * Sets model, training, seed and distillation: the text of a {@code config.json} as {@code
   * panamoe train} writes it, or its path in a Hadoop file system. Required.
   */
  public MoeTrainer setConfig(String textOrPath) {
    config = textOrPath;
    return this;
  }

  /**
   * Sets the run's folder, such as {@code hdfs:///runs/first}, which all executors reach. Required.
   */
  public MoeTrainer setFolder(String uri) {
    folder = uri;
    return this;
  }

  /**
   * Sets the tokenizer of a text: the path of a {@code tokenizer.json} in a Hadoop file system.
   * Default: tokens are bytes. Prepared tokens have their own.
   */
  public MoeTrainer setTokenizer(String uri) {
    tokenizer = uri;
    return this;
  }

  /** Sets the teacher of a configuration with a distillation: the folder of its run. */
  public MoeTrainer setTeacher(String uri) {
    teacher = uri;
    return this;
  }

  /** Sets the number of ranks, each a task with {@code spark.task.cpus} threads. Default: 1. */
  public MoeTrainer setRanks(int count) {
    ranks = count;
    return this;
  }

  /** Sets the most ranks that a layer's experts are spread over. Default: all data ranks. */
  public MoeTrainer setExpertDegree(int degree) {
    expertDegree = degree;
    return this;
  }

  /** Sets the number of ranks that heads and MLPs are sliced over. Default: 1. */
  public MoeTrainer setTensorDegree(int degree) {
    tensorDegree = degree;
    return this;
  }

  /** Sets the number of tensor ranks that slice an expert. Default: 1. */
  public MoeTrainer setExpertSlices(int slices) {
    expertSlices = slices;
    return this;
  }

  /**
   * Sets the device of each rank: {@code auto} (a GPU if Spark has assigned one to the task, else
   * the processor), {@code cpu}, {@code cuda} or {@code reference}. Default: auto.
   */
  public MoeTrainer setDevice(String name) {
    device = name;
    return this;
  }

  /** Sets how long a rank waits for another. Default: 60. */
  public MoeTrainer setTimeoutSeconds(int seconds) {
    timeoutSeconds = seconds;
    return this;
  }

  /**
   * Sets whether the ranks encrypt what they send, by keys of the application's own; over NCCL they
   * do not. Default: true.
   */
  public MoeTrainer setEncrypted(boolean value) {
    encrypted = value;
    return this;
  }

  /**
   * Trains on a text and waits for the end; see {@link #start(Dataset)} and {@link
   * MoeTraining#await}.
   */
  public TrainingOutcome train(Dataset<?> text) throws IOException, InterruptedException {
    return start(text).await();
  }

  /** Trains on prepared tokens and waits for the end; see {@link #start(String)}. */
  public TrainingOutcome train(String data) throws IOException, InterruptedException {
    return start(data).await();
  }

  /**
   * Begins to train on a text. Each row is a document. The driver encodes it, in the order of the
   * rows, into the run's folder; a run that goes on keeps those tokens and does not read the text
   * again.
   *
   * @param text with one column, of type string
   * @throws IllegalArgumentException in one sentence, if a setting, the text or the application
   *     does not allow the training; then no job has begun
   * @throws IOException if the file system cannot be reached
   */
  public MoeTraining start(Dataset<?> text) throws IOException {
    SparkSession session = text.sparkSession();
    Prepared run = prepare(session);
    if (run.fresh || !run.folder.has(DATA)) {
      encode(run, text);
    }
    return start(session, run, run.folder + "/" + DATA);
  }

  /**
   * Begins to train on prepared tokens in the active session.
   *
   * @param data a folder that {@code panamoe data prepare} wrote, in a Hadoop file system
   * @throws IllegalArgumentException like {@link #start(Dataset)}
   * @throws IOException if the file system cannot be reached
   */
  public MoeTraining start(String data) throws IOException {
    SparkSession session = SparkSession.active();
    Prepared run = prepare(session);
    Require.that(tokenizer == null, "prepared tokens have their own tokenizer; leave it out");
    return start(session, run, new ClusterFolder(data, run.settings).toString());
  }

  /**
   * What the driver checked.
   *
   * @param fresh whether the folder has no checkpoint, so that the run begins
   */
  private record Prepared(
      ClusterFolder folder,
      Configuration settings,
      RunConfig config,
      RankTask.Degrees degrees,
      boolean fresh) {}

  private Prepared prepare(SparkSession session) throws IOException {
    SparkContext spark = session.sparkContext();
    Require.that(config != null, "there is no configuration: give it by setConfig");
    Require.that(folder != null, "there is no folder for the run: give it by setFolder");
    Require.that(timeoutSeconds >= 1, "the timeout is %s s, expected 1 or more", timeoutSeconds);
    Configuration settings = spark.hadoopConfiguration();
    RunConfig run = ConfigJson.parse(text(settings), RunConfig.class, "the configuration");
    Require.that(
        run.distillation() == null || teacher != null,
        "the configuration has a distillation: give its teacher by setTeacher");
    Require.that(
        run.distillation() != null || teacher == null,
        "there is a teacher, but the configuration has no distillation");
    Require.that(
        run.adapters() == null && run.preference() == null,
        "the configuration trains adapters or preferences, which panamoe train does on one machine");
    Require.that(
        run.training().checkpoints().patience() == null,
        "the configuration has patience, which only panamoe train observes; leave it out");
    int experts = expertDegree == 0 ? Math.max(1, ranks / Math.max(1, tensorDegree)) : expertDegree;
    RankTask.Degrees degrees = new RankTask.Degrees(ranks, experts, tensorDegree, expertSlices);
    run.requireFits(job(run, "", degrees).topology());
    Cluster.requireRanks(spark, ranks);
    ClusterFolder place = new ClusterFolder(folder, settings);
    boolean fresh = place.latest().isEmpty();
    if (!fresh) {
      requireSame(place, run);
    }
    place.tidy();
    return new Prepared(place, settings, run, degrees, fresh);
  }

  private String text(Configuration settings) throws IOException {
    if (config.strip().startsWith("{")) {
      return config;
    }
    var path = new org.apache.hadoop.fs.Path(config);
    try (var in = path.getFileSystem(settings).open(path)) {
      return new String(in.readAllBytes(), UTF_8);
    }
  }

  /** A run goes on with its own configuration, and maybe with more steps. */
  private static void requireSame(ClusterFolder place, RunConfig run) throws IOException {
    RunConfig before =
        ConfigJson.parse(
            new String(place.read(RunFolder.CONFIG), UTF_8), RunConfig.class, place.toString());
    String differs =
        ConfigDifference.between(
            ConfigJson.tree(before.withSteps(1)), ConfigJson.tree(run.withSteps(1)));
    Require.that(
        differs.isEmpty(),
        "%s holds a run of another configuration (%s); choose another folder, or go on with its own",
        place,
        differs);
  }

  private RankTask.Job job(RunConfig run, String data, RankTask.Degrees degrees) {
    String secret =
        new BigInteger(SECRET_BITS, new SecureRandom()).setBit(SECRET_BITS).toString(16);
    return new RankTask.Job(
        run.toJson(),
        folder,
        data,
        teacher,
        degrees,
        device,
        new RankTask.Transport(timeoutSeconds, secret, encrypted));
  }

  private void encode(Prepared run, Dataset<?> text) throws IOException {
    StructField[] columns = text.schema().fields();
    Require.that(
        columns.length == 1 && columns[0].dataType().equals(DataTypes.StringType),
        "the text has the columns %s, expected one of type string",
        text.schema().simpleString());
    List<String> documents = new ArrayList<>();
    for (Iterator<Row> rows = text.toDF().toLocalIterator(); rows.hasNext(); ) {
      Row row = rows.next();
      Require.that(!row.isNullAt(0), "row %s of the text is null", documents.size());
      documents.add(row.getString(0));
    }
    try (TemporaryFolder local = TemporaryFolder.of("panamoe-data-")) {
      Path file = null;
      if (tokenizer != null) {
        ClusterFolder given = new ClusterFolder(tokenizer, run.settings);
        file = given.fetch("", local.path().resolve(TokenizerFiles.TOKENIZER));
      }
      Tokenizer encoder = TokenizerFiles.of(local.path()).tokenizer().orElseThrow();
      requireFits(encoder, run);
      Path tokens = local.path().resolve(DATA);
      PreparedText.prepare(Corpus.of(documents), "a dataset of Spark", encoder, file, tokens);
      run.folder.put(tokens, DATA);
    }
  }

  private static void requireFits(Tokenizer tokenizer, Prepared run) {
    int vocabulary = run.config.model().vocabulary();
    Require.that(
        tokenizer.fits(vocabulary),
        "model.vocabulary is %s but the tokenizer has %s tokens",
        vocabulary,
        tokenizer.vocabularySize());
  }

  private MoeTraining start(SparkSession session, Prepared run, String data) throws IOException {
    try (TemporaryFolder local = TemporaryFolder.of("panamoe-run-")) {
      begin(run, data, local.path());
    }
    SparkContext spark = session.sparkContext();
    StepAccumulator last = new StepAccumulator();
    spark.register(last, "Panamoe");
    Progress progress = Progress.of(spark, last, run.folder.toString());
    RankTask task =
        new RankTask(
            job(run.config, data, run.degrees), new SerializableConfiguration(run.settings), last);
    String what =
        "Panamoe trains " + run.folder + " to step " + run.config.training().schedule().steps();
    FutureTask<TrainingOutcome> outcome =
        new FutureTask<>(
            () -> {
              spark.setJobDescription(what + " on " + ranks + " ranks");
              try {
                return run(JavaSparkContext.fromSparkContext(spark), task, run);
              } finally {
                progress.end();
              }
            });
    Thread.ofPlatform().daemon().name("panamoe-training").start(outcome);
    return new MoeTraining(run.folder, progress, outcome);
  }

  /** Writes the files of a run that are known before it trains. */
  private void begin(Prepared run, String data, Path local) throws IOException {
    ClusterFolder from = new ClusterFolder(data, run.settings);
    Require.that(from.has("data.json"), "%s holds no prepared text: it has no data.json", data);
    if (from.has(TokenizerFiles.TOKENIZER)) {
      from.fetch(TokenizerFiles.TOKENIZER, local.resolve(TokenizerFiles.TOKENIZER));
      run.folder.put(local.resolve(TokenizerFiles.TOKENIZER), TokenizerFiles.TOKENIZER);
    }
    requireFits(TokenizerFiles.of(local).tokenizer().orElseThrow(), run);
    from.fetch("data.json", local.resolve("data.json"));
    TextRecord text =
        new TextRecord(data, true, null, null, null, List.of(), PreparedText.open(local).sha256());
    if (!run.fresh && run.folder.has(RunFolder.TEXT)) {
      TextRecord before =
          ConfigJson.parse(
              new String(run.folder.read(RunFolder.TEXT), UTF_8), TextRecord.class, data);
      Require.that(
          before.sha256().equals(text.sha256()),
          "the run in %s was started on another text than %s",
          run.folder,
          data);
    }
    run.folder.delete(MoeTraining.STOP);
    run.folder.write(RunFolder.TEXT, ConfigJson.text(text));
    run.folder.write(RunFolder.CONFIG, run.config.toJson()); // the last: it makes the folder a run
  }

  private static TrainingOutcome run(JavaSparkContext spark, RankTask task, Prepared run) {
    int ranks = run.degrees.ranks();
    JavaRDD<Integer> numbers = spark.parallelize(IntStream.range(0, ranks).boxed().toList(), ranks);
    RankTask.Result result = Cluster.inBarrier(numbers, task).getFirst();
    if (result.failure() != null) {
      throw new IllegalStateException(result.failure());
    }
    return new TrainingOutcome(
        run.folder.toString(), result.steps(), result.bitsPerByte(), result.stopped());
  }
}

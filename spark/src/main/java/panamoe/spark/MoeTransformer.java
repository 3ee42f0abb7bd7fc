package panamoe.spark;

import org.apache.spark.ml.Transformer;
import org.apache.spark.ml.param.BooleanParam;
import org.apache.spark.ml.param.DoubleParam;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.LongParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.param.StringArrayParam;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.StructType;
import panamoe.io.Require;

/**
 * Adds a column that a model computes from a column of prompts: completions, vectors, or the
 * log-likelihoods of choices. The tasks of an executor share one engine, which batches their rows
 * continuously. A row's value depends on the row and the settings alone, not on its partition or
 * its neighbours: random numbers are seeded by {@link #seed} and the prompt, or by {@link
 * #seedCol}.
 *
 * {@snippet file="panamoe/spark/SparkExample.java" region="transform"}
 *
 * <p>It works on streams, too. Like other transformers, it is configured by one thread.
 */
public final class MoeTransformer extends Transformer implements DefaultParamsWritable {
  private static final long serialVersionUID = 1;

  private final String uid;
  private final Param<String> model;
  private final Param<String> task;
  private final Param<String> inputCol;
  private final Param<String> outputCol;
  private final Param<String> choicesCol;
  private final Param<String> seedCol;
  private final LongParam seed;
  private final IntParam maxTokens;
  private final DoubleParam temperature;
  private final DoubleParam topP;
  private final StringArrayParam stop;
  private final IntParam sequences;
  private final IntParam context;
  private final IntParam threads;
  private final Param<String> device;
  private final Param<String> weights;
  private final Param<String> promptName;
  private final BooleanParam vectors;

  /** A transformer with a new identifier. */
  public MoeTransformer() {
    this(Identifiable$.MODULE$.randomUID("moe"));
  }

  /** A transformer with an identifier, such as a saved one's. */
  public MoeTransformer(String uid) {
    this.uid = uid; // first: parameters ask for it
    model =
        new Param<>(
            this,
            "model",
            "path of a model on the executors, name of a file of SparkContext.addFile, folder in a Hadoop file system, or hf:OWNER/REPO");
    task = new Param<>(this, "task", "text, embedding or likelihood (of choices)");
    inputCol =
        new Param<>(
            this, "inputCol", "column of prompts, or of messages (array of role and content)");
    outputCol = new Param<>(this, "outputCol", "new column");
    choicesCol =
        new Param<>(this, "choicesCol", "column of choices (array of string), for likelihood");
    seedCol = new Param<>(this, "seedCol", "column of seeds (bigint); default: of seed and prompt");
    seed = new LongParam(this, "seed", "of random numbers");
    maxTokens = new IntParam(this, "maxTokens", "most tokens of a completion");
    temperature = new DoubleParam(this, "temperature", "0 takes the most probable token");
    topP = new DoubleParam(this, "topP", "probability of the tokens that are kept; 1 for all");
    stop = new StringArrayParam(this, "stop", "stop strings");
    sequences = new IntParam(this, "sequences", "completions that an executor computes together");
    context =
        new IntParam(
            this, "context", "tokens of the longest prompt with its completion; 0: the model's");
    threads = new IntParam(this, "threads", "of an executor's engine; 0: its cores");
    device = new Param<>(this, "device", "auto, cpu, cuda or reference");
    weights = new Param<>(this, "weights", "form in memory: stored, int8, int4 or decoded");
    promptName =
        new Param<>(this, "promptName", "the model's prompt for embeddings, such as query");
    vectors = new BooleanParam(this, "vectors", "embeddings as ml.linalg.Vector, not array<float>");
    setDefault(task, "text");
    setDefault(seed, 0L);
    setDefault(maxTokens, 200);
    setDefault(temperature, 0.0);
    setDefault(topP, 1.0);
    setDefault(stop, new String[0]);
    setDefault(sequences, 16);
    setDefault(context, 0);
    setDefault(threads, 0);
    setDefault(device, "auto");
    setDefault(weights, "stored");
    setDefault(vectors, true);
  }

  @Override
  public String uid() {
    return uid;
  }

  /** Reads what {@link #save} wrote. */
  public static MLReader<MoeTransformer> read() {
    return new DefaultParamsReader<>();
  }

  /** Reads what {@link #save} wrote. */
  public static MoeTransformer load(String path) {
    return read().load(path);
  }

  @Override
  public MoeTransformer copy(ParamMap extra) {
    return defaultCopy(extra);
  }

  /**
   * Adds the output column's type.
   *
   * @throws IllegalArgumentException in one sentence, if a setting is missing or wrong, or a column
   *     is missing or of another type
   */
  @Override
  public StructType transformSchema(StructType schema) {
    return settings().appended(schema);
  }

  /**
   * Adds the output column. Nothing is computed before rows are asked for.
   *
   * @throws IllegalArgumentException like {@link #transformSchema}
   */
  @Override
  public Dataset<Row> transform(Dataset<?> rows) {
    RowSettings settings = settings();
    StructType schema = settings.appended(rows.schema());
    return rows.toDF().mapPartitions(new RowTask(settings, rows.schema()), Encoders.row(schema));
  }

  /**
   * Prints, and returns, the memory that an executor needs for the model, by part. Reads no
   * weights; the model must be readable by the driver.
   *
   * @throws panamoe.api.PanamoeException.BadModel if there is no such model
   */
  public String dryRun() {
    String memory = settings().memory();
    System.out.println(memory);
    return memory;
  }

  private RowSettings settings() {
    return new RowSettings(
        required(model),
        RowSettings.choice(RowSettings.Task.class, task.name(), $(task)),
        new RowSettings.Columns(
            required(inputCol),
            required(outputCol),
            isSet(choicesCol) ? $(choicesCol) : null,
            isSet(seedCol) ? $(seedCol) : null,
            (Boolean) $(vectors)),
        new RowSettings.Completion(
            (Long) $(seed),
            (Integer) $(maxTokens),
            (Double) $(temperature),
            (Double) $(topP),
            $(stop)),
        new RowSettings.Engine(
            (Integer) $(sequences),
            (Integer) $(context),
            (Integer) $(threads),
            $(device),
            $(weights)),
        isSet(promptName) ? $(promptName) : null);
  }

  private String required(Param<String> param) {
    Require.that(isSet(param), "%s is not set: %s", param.name(), param.doc());
    return $(param);
  }

  private <T> MoeTransformer with(Param<T> param, T value) {
    set(param, value);
    return this;
  }

  /**
   * Path of a model on the executors, name of a file of SparkContext.addFile, folder in a Hadoop
   * file system, or hf:OWNER/REPO.
   */
  public Param<String> model() {
    return model;
  }

  /** Sets {@link #model}. */
  public MoeTransformer setModel(String value) {
    return with(model, value);
  }

  /** Text, embedding or likelihood (of choices). */
  public Param<String> task() {
    return task;
  }

  /** Sets {@link #task}. */
  public MoeTransformer setTask(String value) {
    return with(task, value);
  }

  /** Column of prompts, or of messages (array of role and content). */
  public Param<String> inputCol() {
    return inputCol;
  }

  /** Sets {@link #inputCol}. */
  public MoeTransformer setInputCol(String value) {
    return with(inputCol, value);
  }

  /** New column. */
  public Param<String> outputCol() {
    return outputCol;
  }

  /** Sets {@link #outputCol}. */
  public MoeTransformer setOutputCol(String value) {
    return with(outputCol, value);
  }

  /** Column of choices (array of string), for likelihood. */
  public Param<String> choicesCol() {
    return choicesCol;
  }

  /** Sets {@link #choicesCol}. */
  public MoeTransformer setChoicesCol(String value) {
    return with(choicesCol, value);
  }

  /** Column of seeds (bigint); default: of seed and prompt. */
  public Param<String> seedCol() {
    return seedCol;
  }

  /** Sets {@link #seedCol}. */
  public MoeTransformer setSeedCol(String value) {
    return with(seedCol, value);
  }

  /** Of random numbers. */
  public LongParam seed() {
    return seed;
  }

  /** Sets {@link #seed}. */
  public MoeTransformer setSeed(long value) {
    return with(seed, value);
  }

  /** Most tokens of a completion. */
  public IntParam maxTokens() {
    return maxTokens;
  }

  /** Sets {@link #maxTokens}. */
  public MoeTransformer setMaxTokens(int value) {
    return with(maxTokens, value);
  }

  /** 0 takes the most probable token. */
  public DoubleParam temperature() {
    return temperature;
  }

  /** Sets {@link #temperature}. */
  public MoeTransformer setTemperature(double value) {
    return with(temperature, value);
  }

  /** Probability of the tokens that are kept; 1 for all. */
  public DoubleParam topP() {
    return topP;
  }

  /** Sets {@link #topP}. */
  public MoeTransformer setTopP(double value) {
    return with(topP, value);
  }

  /** Stop strings. */
  public StringArrayParam stop() {
    return stop;
  }

  /** Sets {@link #stop}. */
  public MoeTransformer setStop(String... value) {
    return with(stop, value);
  }

  /** Completions that an executor computes together. */
  public IntParam sequences() {
    return sequences;
  }

  /** Sets {@link #sequences}. */
  public MoeTransformer setSequences(int value) {
    return with(sequences, value);
  }

  /** Tokens of the longest prompt with its completion; 0: the model's. */
  public IntParam context() {
    return context;
  }

  /** Sets {@link #context}. */
  public MoeTransformer setContext(int value) {
    return with(context, value);
  }

  /** Of an executor's engine; 0: its cores. */
  public IntParam threads() {
    return threads;
  }

  /** Sets {@link #threads}. */
  public MoeTransformer setThreads(int value) {
    return with(threads, value);
  }

  /** Auto, cpu, cuda or reference. */
  public Param<String> device() {
    return device;
  }

  /** Sets {@link #device}. */
  public MoeTransformer setDevice(String value) {
    return with(device, value);
  }

  /** Form in memory: stored, int8, int4 or decoded. */
  public Param<String> weights() {
    return weights;
  }

  /** Sets {@link #weights}. */
  public MoeTransformer setWeights(String value) {
    return with(weights, value);
  }

  /** The model's prompt for embeddings, such as query. */
  public Param<String> promptName() {
    return promptName;
  }

  /** Sets {@link #promptName}. */
  public MoeTransformer setPromptName(String value) {
    return with(promptName, value);
  }

  /** Embeddings as ml.linalg.Vector, not array&lt;float&gt;. */
  public BooleanParam vectors() {
    return vectors;
  }

  /** Sets {@link #vectors}. */
  public MoeTransformer setVectors(boolean value) {
    return with(vectors, value);
  }
}

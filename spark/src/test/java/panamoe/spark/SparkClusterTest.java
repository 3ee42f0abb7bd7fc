package panamoe.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import panamoe.api.Device;
import panamoe.testkit.SmallRun;
import panamoe.text.GenerationOptions;
import panamoe.text.MoeModel;
import panamoe.train.RunConfig;

/**
 * Training and transforming on three executors that are processes, as {@code ci/slow.d/spark} runs
 * it: with a Spark home, jars of Panamoe, and a small disk.
 */
@Tag("slow")
@Timeout(600)
@EnabledIfSystemProperty(named = "panamoe.test.spark", matches = ".+")
class SparkClusterTest {
  private static final int STEPS = 300;
  private static final int EVERY = 20;

  private static final Path PLACE = Path.of(System.getProperty("panamoe.test.spark", "none"));

  /** A file system with little room. */
  private static final Path SMALL = PLACE.resolve("small");

  private static SparkSession session;
  private static Path whole;

  @BeforeAll
  static void open() throws Exception {
    try (Stream<Path> jars = Files.list(PLACE.resolve("panamoe"))) {
      session =
          LocalSpark.builder("local-cluster[3,1,2048]", PLACE)
              .config("spark.jars", jars.map(Path::toString).collect(Collectors.joining(",")))
              .config("spark.executor.userClassPathFirst", true) // Jackson's annotations
              .config("spark.executorEnv.PANAMOE_NATIVE_PATH", library())
              .config("spark.executor.memory", "1g")
              .getOrCreate();
    }
    whole = PLACE.resolve("runs/whole");
    trainer(whole).train(text());
  }

  private static String library() {
    return Path.of("../native/build/release").toAbsolutePath().normalize().toString();
  }

  @AfterAll
  static void close() {
    session.stop();
  }

  private static Dataset<Row> text() {
    List<String> documents = Collections.nCopies(40, SmallRun.SENTENCE.repeat(8));
    return session.createDataset(documents, Encoders.STRING()).toDF("text");
  }

  private static MoeTrainer trainer(Path run) {
    RunConfig config = LocalSpark.config(STEPS, EVERY);
    return new MoeTrainer()
        .setConfig(config.toJson())
        .setFolder(run.toUri().toString())
        .setRanks(3)
        .setDevice("cpu");
  }

  /** The executors' processes. */
  private static List<ProcessHandle> executors() {
    return ProcessHandle.current()
        .descendants()
        .filter(
            each ->
                Stream.of(each.info().arguments().orElse(new String[0]))
                    .anyMatch(word -> word.endsWith("CoarseGrainedExecutorBackend")))
        .toList();
  }

  private static void signal(String name, ProcessHandle process) throws Exception {
    assertEquals(
        0, new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor());
  }

  private static void awaitCheckpoint(Path run, MoeTraining training) throws Exception {
    while (!Files.exists(run.resolve("checkpoints/latest"))) {
      assertFalse(training.isDone(), "it ended before its first checkpoint");
      Thread.sleep(10);
    }
  }

  private static void requireSameAsWhole(Path run) throws IOException {
    assertArrayEquals(MoeTrainerTest.losses(whole), MoeTrainerTest.losses(run), 0);
    assertEquals(manifest(whole), manifest(run));
  }

  /** The manifest of the last step, which has the checksums of all its files. */
  private static String manifest(Path run) throws IOException {
    return Files.readString(run.resolve("checkpoints/step-00000" + STEPS + "/manifest.json"));
  }

  @Test
  void threeExecutorsLearnWhatOneRankLearns() throws Exception {
    Path alone = PLACE.resolve("runs/alone");
    trainer(alone).setRanks(1).train(text());
    double[] expected = MoeTrainerTest.losses(alone);
    double[] losses = MoeTrainerTest.losses(whole);
    double most = 0;
    for (int i = 0; i < STEPS; i++) {
      most = Math.max(most, Math.abs(losses[i] / expected[i] - 1));
    }
    System.out.println("passed: losses of 3 ranks differ from those of one by at most " + most);
    assertTrue(most < 1e-3, () -> "losses differ");
  }

  @Test
  void aKilledExecutorChangesNoBit() throws Exception {
    Path run = PLACE.resolve("runs/killed");
    MoeTraining training = trainer(run).start(text());
    awaitCheckpoint(run, training);
    ProcessHandle held = executors().getLast(); // without it no rank gets beyond its step
    signal("STOP", held);
    assertFalse(training.isDone());
    signal("KILL", executors().getFirst());
    signal("CONT", held);
    assertEquals(STEPS, training.await().steps());
    requireSameAsWhole(run);
    System.out.println("passed: an executor was killed, and the run went on bit for bit");
  }

  @Test
  void aStragglerIsWaitedFor() throws Exception {
    Path run = PLACE.resolve("runs/straggler");
    MoeTraining training = trainer(run).start(text());
    awaitCheckpoint(run, training);
    ProcessHandle slow = executors().getLast();
    signal("STOP", slow);
    Thread.sleep(4000); // less than the 10 s after which a rank counts as frozen
    assertFalse(training.isDone());
    String held = training.progress();
    assertFalse(held.startsWith("step " + STEPS + " "), held);
    signal("CONT", slow);
    assertEquals(STEPS, training.await().steps());
    assertTrue(training.progress().startsWith("step " + STEPS + " of "), training::progress);
    requireSameAsWhole(run);
    System.out.println("passed: an executor was frozen for 4 s, and nothing changed");
  }

  @Test
  void aFullDiskEndsTheRunWithItsLastCheckpoint() throws Exception {
    Path run = SMALL.resolve("run");
    MoeTraining training = trainer(run).start(text());
    awaitCheckpoint(run, training);
    Path filler = SMALL.resolve("filler");
    byte[] block = new byte[1 << 12];
    try (OutputStream out = Files.newOutputStream(filler)) {
      while (!training.isDone()) { // deletes of old checkpoints make room again
        fill(out, block);
        Thread.sleep(1);
      }
    }
    IllegalStateException full = assertThrows(IllegalStateException.class, training::await);
    assertTrue(
        full.getMessage()
            .matches("rank \\d on \\S+: .*(writing|saving) .*: No space left on device.*"),
        full::getMessage);
    assertFalse(full.getMessage().contains("\n"), full::getMessage);
    Files.delete(filler);
    assertEquals(STEPS, trainer(run).train(text()).steps());
    requireSameAsWhole(run);
    System.out.println("passed: a full disk ended a run, which then went on: " + full.getMessage());
  }

  private static void fill(OutputStream out, byte[] block) {
    try {
      while (true) {
        out.write(block);
      }
    } catch (IOException _) {
      // The disk is full.
    }
  }

  @Test
  void tenThousandTextsAreThoseOfGenerate() {
    Path model = PLACE.resolve("model");
    SmallRun.train(model, 30);
    List<String> prompts = IntStream.range(0, 10_000).mapToObj(i -> i + " Die Würde").toList();
    Dataset<Row> rows =
        session.createDataset(prompts, Encoders.STRING()).toDF("prompt").repartition(7);
    Dataset<Row> written =
        new MoeTransformer()
            .setModel(model.toUri().toString())
            .setInputCol("prompt")
            .setOutputCol("text")
            .setDevice("cpu")
            .setMaxTokens(8)
            .transform(rows);
    List<String> texts =
        written.selectExpr("concat(prompt, text)").as(Encoders.STRING()).collectAsList().stream()
            .sorted()
            .toList();
    try (Device device = Device.open("cpu", 2);
        MoeModel alone = MoeModel.open(device, model)) {
      assertEquals(
          prompts.stream()
              .map(prompt -> prompt + alone.generate(prompt, GenerationOptions.of(8)).text())
              .sorted()
              .toList(),
          texts);
    }
    System.out.println("passed: 10,000 texts of three executors are those of one engine");
  }
}

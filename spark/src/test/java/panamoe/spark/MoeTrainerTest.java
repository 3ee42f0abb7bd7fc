package panamoe.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.open.ModelFolder;
import panamoe.testkit.SmallRun;
import panamoe.train.PreferenceConfig;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Ranks as tasks of one process; {@link SparkClusterTest} has executors that are processes. */
@Timeout(120)
class MoeTrainerTest {
  @TempDir static Path folder;
  private static SparkSession session;

  @BeforeAll
  static void open() {
    session = LocalSpark.session();
  }

  private static Dataset<Row> text() {
    List<String> documents = Collections.nCopies(40, SmallRun.SENTENCE.repeat(8));
    return session.createDataset(documents, Encoders.STRING()).toDF("text");
  }

  private static MoeTrainer trainer(String name, int steps) {
    return new MoeTrainer()
        .setConfig(LocalSpark.config(steps).toJson())
        .setFolder(folder.resolve(name).toUri().toString())
        .setDevice("cpu");
  }

  static double[] losses(Path run) throws IOException {
    try (Stream<String> lines = Files.lines(run.resolve("metrics.jsonl"))) {
      return lines.mapToDouble(line -> parsed(line).get("loss").doubleValue()).toArray();
    }
  }

  private static JsonNode parsed(String line) {
    return JsonMapper.shared().readTree(line);
  }

  @Test
  void ranksLearnWhatOneLearnsAndGoOn() throws Exception {
    TrainingOutcome alone = trainer("alone", 6).train(text());
    assertEquals(6, alone.steps());
    assertEquals(257, ModelFolder.open(folder.resolve("alone")).config().vocabulary());
    assertFalse(alone.stopped());
    TrainingOutcome both = trainer("both", 6).setRanks(2).train(text());
    double[] losses = losses(folder.resolve("alone"));
    assertEquals(6, losses.length);
    assertArrayEquals(losses, losses(folder.resolve("both")), 1e-5);
    assertEquals(alone.bitsPerByte(), both.bitsPerByte(), 1e-5);
    try (Stream<Path> saved = Files.list(folder.resolve("both/checkpoints"))) {
      assertEquals(
          List.of("latest", "step-00000004", "step-00000006"),
          saved
              .map(path -> path.getFileName().toString())
              .filter(name -> !name.startsWith("."))
              .sorted()
              .toList());
    }
    // As if the application had ended after its fourth step: the last two give the same bits.
    Path broken = folder.resolve("broken");
    copy(folder.resolve("both"), broken);
    deleteAll(broken.resolve("checkpoints/step-00000006"));
    Dataset<Row> nothing = text().limit(0); // the run keeps the tokens that it began with
    assertEquals(both.bitsPerByte(), trainer("broken", 6).setRanks(2).train(nothing).bitsPerByte());
    assertArrayEquals(losses(folder.resolve("both")), losses(broken), 0);
    assertEquals(model("both"), model("broken"));
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path each : all.toList()) {
        Files.copy(each, to.resolve(from.relativize(each).toString()));
      }
    }
  }

  private static void deleteAll(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }

  /** The manifest of the sixth step, which has the checksums of all its files. */
  private static String model(String run) throws IOException {
    return Files.readString(folder.resolve(run).resolve("checkpoints/step-00000006/manifest.json"));
  }

  @Test
  void theLastStepIsOnSparksPage() throws Exception {
    MoeTraining training =
        trainer("shown", 4).setConfig(LocalSpark.config(4).toJson()).start(text());
    training.await();
    assertTrue(training.isDone());
    assertTrue(
        training.progress().matches("step 4 of 4: loss \\d.*tokens/s.*"), training.progress());
    String page =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(
                        URI.create(session.sparkContext().uiWebUrl().get() + "/panamoe/"))
                    .build(),
                BodyHandlers.ofString())
            .body();
    assertTrue(page.contains("shown: " + training.progress()), page);
  }

  @Test
  void aWishToStopIsHeardBetweenSteps() throws Exception {
    MoeTraining training = trainer("stopped", 1_000_000).setRanks(2).start(text());
    while (training.progress().isEmpty()) {
      Thread.sleep(50);
    }
    training.stop();
    TrainingOutcome outcome = training.await();
    assertTrue(outcome.stopped());
    assertTrue(Double.isNaN(outcome.bitsPerByte()));
    assertEquals(
        Optional.of(outcome.steps()),
        new ClusterFolder(outcome.folder(), session.sparkContext().hadoopConfiguration())
            .latest()
            .map(ClusterFolder::step));
    assertEquals(outcome.steps(), losses(folder.resolve("stopped")).length);
  }

  private static void refused(String sentence, Executable training) {
    Exception refusal = assertThrows(Exception.class, training);
    assertTrue(refusal.getMessage().startsWith(sentence), refusal::getMessage);
    assertFalse(refusal.getMessage().contains("\n"), refusal::getMessage);
  }

  @Test
  void whatCannotBeTrainedIsRefusedInASentence() {
    refused(
        "3 ranks need as many tasks at the same time, but the executors have room for 2:",
        () -> trainer("no", 2).setRanks(3).start(text()));
    refused(
        "the text has the columns struct<text:string,n:int>, expected one of type string",
        () -> trainer("no", 2).start(text().selectExpr("text", "1 as n")));
    refused(
        "row 1 of the text is null",
        () ->
            trainer("no", 2)
                .start(session.createDataset(Arrays.asList("a", null), Encoders.STRING())));
    refused(
        "there is no folder for the run",
        () -> new MoeTrainer().setConfig(LocalSpark.config(1).toJson()).start(text()));
    refused(
        "the configuration: ", () -> trainer("no", 2).setConfig("{\"model\": 3}").start(text()));
    refused(
        "4 sequences of a micro-batch do not divide among 3 data ranks",
        () ->
            trainer("no", 2)
                .setConfig(LocalSpark.config(2).toJson().replace("\"batch\" : 6", "\"batch\" : 4"))
                .setRanks(3)
                .start(text()));
    refused("there is a teacher, but", () -> trainer("no", 2).setTeacher("t").start(text()));
    RunConfig plain = LocalSpark.config(2);
    refused(
        "the configuration trains adapters or preferences",
        () ->
            trainer("no", 2)
                .setConfig(plain.preferring(new PreferenceConfig(0.1)).toJson())
                .start(text()));
    TrainConfig patient = plain.training().with(TrainConfig.Checkpoints.of(1, 2).withPatience(1));
    refused(
        "the configuration has patience",
        () ->
            trainer("no", 2)
                .setConfig(new RunConfig(plain.model(), patient, 7).toJson())
                .start(text()));
    refused(
        folder.toUri().toString().replaceFirst("/+$", "").replace("///", "/")
            + "/none holds no prepared text",
        () -> trainer("no", 2).start(folder.resolve("none").toUri().toString()));
    assertFalse(Files.exists(folder.resolve("no/config.json")));
  }

  @Test
  void aFailureThatWouldBeRepeatedEndsTheJob() throws Exception {
    trainer("changed", 2).train(text());
    refused(
        folder.toUri().toString().replaceFirst("/+$", "").replace("///", "/")
            + "/changed holds a run of another configuration (training.batch was 6, is 4)",
        () ->
            trainer("changed", 2)
                .setConfig(LocalSpark.config(2).toJson().replace("\"batch\" : 6", "\"batch\" : 4"))
                .start(text()));
    // Damage that only a rank finds, when it reads the weights.
    Path checkpoint = folder.resolve("changed/checkpoints/step-00000002");
    Files.writeString(checkpoint.resolve("state.json"), "{}");
    String further = LocalSpark.config(2).withSteps(4).toJson();
    refused("rank 0 on ", () -> trainer("changed", 4).setConfig(further).setRanks(2).train(text()));
    for (Thread each : Thread.getAllStackTraces().keySet()) {
      if (each.getName().equals("heartbeat")) { // of a world, until it is closed
        assertTrue(each.join(Duration.ofSeconds(20)), "the failed ranks left their world open");
      }
    }
    refused("rank 0 on 127.0.0.1: ", () -> trainer("gpu", 2).setDevice("cuda").train(text()));
  }

  private static final CompletableFuture<String> ENDED = new CompletableFuture<>();

  /** Rank 1 comes only after rank 0 has ended; both come in the next attempt. */
  private static Iterator<String> meetLate(Iterator<Integer> rank) {
    BarrierTaskContext context = BarrierTaskContext.get();
    if (context.partitionId() == 1 && context.stageAttemptNumber() == 0) {
      return List.of(ENDED.join()).iterator();
    }
    try {
      Duration most = context.stageAttemptNumber() == 0 ? Duration.ZERO : Duration.ofDays(1);
      return List.of(String.join("", Cluster.allGather(context, "" + rank.next(), most)))
          .iterator();
    } catch (IllegalStateException e) {
      ENDED.complete(e.getMessage());
      throw e;
    }
  }

  @Test
  void aStuckRankHoldsNoOther() {
    JavaRDD<Integer> ranks =
        JavaSparkContext.fromSparkContext(session.sparkContext()).parallelize(List.of(0, 1), 2);
    assertEquals(List.of("01", "01"), Cluster.inBarrier(ranks, MoeTrainerTest::meetLate));
    assertEquals("a rank has not ended 0 s after the others, so it counts as stuck", ENDED.join());
  }

  @Test
  void theSecretIsInNoText() {
    assertFalse(new RankTask.Transport(60, "c0ffee", true).toString().contains("c0ffee"));
  }

  @Test
  void settingsThatABarrierStageRefuses() {
    session.sparkContext().conf().set("spark.speculation", "true");
    refused("spark.speculation is true", () -> trainer("no", 2).start(text()));
    session.sparkContext().conf().remove("spark.speculation");
  }

  @Test
  void ranksThatDifferAreNamed() {
    RankOffer first = new RankOffer("a", 7, "AVX3_ZEN4", "c0ffee", null, null);
    RankOffer same = new RankOffer("b", 8, "AVX3_ZEN4", "c0ffee", null, null);
    assertEquals(Optional.empty(), RankOffer.refusal(List.of(first, same)));
    RankOffer older = new RankOffer("b", 8, "AVX2", "c0ffee", null, null);
    assertEquals(
        Optional.of(
            "rank 1 on b computes on AVX2, but rank 0 on a on AVX3_ZEN4, whose bits differ: choose executors of one kind, or limit all of them to one instruction set by PANAMOE_SIMD"),
        RankOffer.refusal(List.of(first, older)));
    RankOffer other = new RankOffer("b", 8, "AVX3_ZEN4", "f00d", null, null);
    assertEquals(
        Optional.of(
            "rank 1 on b has another native library (checksum f00d) than rank 0 on a (c0ffee)"),
        RankOffer.refusal(List.of(first, other)));
    RankOffer without = new RankOffer("c", 0, "", "", null, "libpanamoe.so was not found");
    assertEquals(
        Optional.of("rank 2 on c: libpanamoe.so was not found"),
        RankOffer.refusal(List.of(first, older, without)));
  }
}

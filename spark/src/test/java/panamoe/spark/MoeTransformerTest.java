package panamoe.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.spark.SparkFiles;
import org.apache.spark.ml.linalg.Vector;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.testkit.SmallRun;
import panamoe.text.ChatMessage;
import panamoe.text.ChatOptions;
import panamoe.text.EmbeddingModel;
import panamoe.text.GenerationOptions;
import panamoe.text.MoeModel;
import panamoe.text.Sampling;
import panamoe.text.ScoringModel;

/** Rows through a model, with two tasks at a time in this process. */
@Timeout(120)
class MoeTransformerTest {
  @TempDir static Path folder;
  private static SparkSession session;
  private static Path model;

  @BeforeAll
  static void open() {
    model = folder.resolve("model");
    SmallRun.train(model, 20);
    session = LocalSpark.session();
  }

  @AfterAll
  static void close() throws Exception {
    SharedModel.closeUnused();
    assertEquals(0, SharedModel.open(), "every task gave its model back");
  }

  private static Dataset<Row> prompts(int partitions) {
    List<String> prompts = IntStream.range(0, 12).mapToObj(i -> "Die Würde " + i).toList();
    return session
        .createDataset(prompts, Encoders.STRING())
        .toDF("prompt")
        .withColumn("number", functions.length(functions.col("prompt")).cast("bigint"))
        .repartition(partitions);
  }

  private static MoeTransformer writer() {
    return new MoeTransformer()
        .setModel(model.toString())
        .setInputCol("prompt")
        .setOutputCol("text")
        .setDevice("cpu")
        .setThreads(1)
        .setSequences(4)
        .setMaxTokens(12);
  }

  private static List<String> texts(Dataset<Row> rows) {
    return rows.orderBy("prompt").select("text").as(Encoders.STRING()).collectAsList();
  }

  @Test
  void textsAreThoseOfGenerate() {
    List<String> prompts = texts(prompts(1).withColumn("text", functions.col("prompt")));
    try (Device device = Device.open("cpu", 1);
        MoeModel alone = MoeModel.open(device, model)) {
      assertEquals(
          prompts.stream()
              .map(prompt -> alone.generate(prompt, GenerationOptions.of(12)).text())
              .toList(),
          texts(writer().transform(prompts(5))));
      GenerationOptions drawn =
          GenerationOptions.of(12).withSampling(Sampling.of(0.9, prompts.getFirst().length()));
      Dataset<Row> seeded = writer().setTemperature(0.9).setSeedCol("number").transform(prompts(2));
      assertEquals(alone.generate(prompts.getFirst(), drawn).text(), texts(seeded).getFirst());
      Dataset<Row> chats =
          prompts(2)
              .selectExpr(
                  "prompt as text0", "array(struct('user' as role, prompt as content)) as prompt");
      assertEquals(
          alone
              .chat(List.of(ChatMessage.user(prompts.get(3))), ChatOptions.of(12))
              .message()
              .content(),
          writer()
              .transform(chats)
              .filter(functions.col("text0").equalTo(prompts.get(3)))
              .first()
              .getAs("text"));
    }
    assertEquals(1, SharedModel.open(), "the tasks shared a model");
  }

  @Test
  void partitionsDoNotMatter() {
    MoeTransformer drawn = writer().setTemperature(1).setSeed(3);
    List<String> one = texts(drawn.transform(prompts(1)));
    assertEquals(one, texts(drawn.transform(prompts(5))));
    assertNotEquals(one, texts(drawn.copy(new ParamMap()).setSeed(4).transform(prompts(1))));
    // Rows that are not asked for are not waited for.
    assertEquals(1, drawn.transform(prompts(1)).takeAsList(1).size());
  }

  @Test
  void aSavedPipelineGivesTheSame() throws Exception {
    Dataset<Row> rows = prompts(2);
    String saved = folder.resolve("pipeline").toString();
    assertEquals(
        texts(writer().setMaxTokens(16).setThreads(0).transform(rows)),
        texts(SparkExample.transform(rows, model.toString(), saved)));
    MoeTransformer drawn = writer().setTemperature(0.5).setStop("a", "b").setSeed(5);
    drawn.save(folder.resolve("alone").toString());
    MoeTransformer again = MoeTransformer.load(folder.resolve("alone").toString());
    assertEquals(drawn.uid(), again.uid());
    assertEquals(parameters(drawn), parameters(again));
  }

  /** All parameters in words; an array is its identity there. */
  private static String parameters(MoeTransformer transformer) {
    return transformer.explainParams().replaceAll("@\\p{XDigit}+", "")
        + String.join(",", transformer.getOrDefault(transformer.stop()));
  }

  @Test
  void embeddings() {
    MoeTransformer embedder =
        writer().setTask("embedding").setOutputCol("vector").setModel(model.toUri().toString());
    Row first = embedder.transform(prompts(3)).orderBy("prompt").first();
    double[] vector = first.<Vector>getAs("vector").toArray();
    try (EmbeddingModel alone = EmbeddingModel.open(model)) {
      float[] expected = alone.embed(first.<String>getAs("prompt"));
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], vector[i]);
      }
    }
    List<Float> narrow =
        embedder.setVectors(false).transform(prompts(1)).orderBy("prompt").first().getList(3 - 1);
    assertEquals(vector[0], narrow.getFirst().doubleValue());
  }

  @Test
  void likelihoods() {
    MoeTransformer judge =
        writer().setTask("likelihood").setChoicesCol("choices").setOutputCol("nats");
    Dataset<Row> rows =
        prompts(3).selectExpr("'Die Würde' as prompt", "array(' des Menschen', ' xyz') as choices");
    List<Double> nats = judge.transform(rows).first().getList(2);
    try (ScoringModel alone = ScoringModel.open(model)) {
      double[] expected = alone.logLikelihoods("Die Würde", List.of(" des Menschen", " xyz"));
      assertArrayEquals(expected, nats.stream().mapToDouble(Double::doubleValue).toArray(), 0);
    }
  }

  @Test
  void aStreamIsTransformed() throws Exception {
    Path in = Files.createDirectory(folder.resolve("in"));
    Files.writeString(in.resolve("first"), "Die\nWürde\n");
    // @start region="stream"
    Dataset<Row> arriving = session.readStream().text(in.toString()).toDF("prompt");
    StreamingQuery query =
        writer()
            .transform(arriving)
            .writeStream()
            .format("memory")
            .queryName("written")
            .option("checkpointLocation", folder.resolve("stream").toString())
            .start();
    // @end
    query.processAllAvailable();
    Files.writeString(in.resolve("second"), "des Menschen\n");
    query.processAllAvailable();
    query.stop();
    Dataset<Row> batch = session.read().text(in.toString()).toDF("prompt");
    assertEquals(texts(writer().transform(batch)), texts(session.table("written")));
    assertEquals(3, session.table("written").count());
  }

  private static void refused(String sentence, Executable work) {
    Exception refusal = assertThrows(Exception.class, work);
    assertTrue(refusal.toString().contains(sentence), refusal::toString);
  }

  @Test
  void badInputIsRefusedInASentence() {
    Dataset<Row> rows = prompts(1);
    refused("model is not set", () -> new MoeTransformer().transform(rows));
    refused(
        "task is 'write', expected one of text, embedding, likelihood",
        () -> writer().setTask("write").transform(rows));
    refused(
        "column number is bigint, expected string, or array<struct<role:string,content:string>>",
        () -> writer().setInputCol("number").transform(rows));
    refused(
        "there is no column x, expected one of prompt, number",
        () -> writer().setInputCol("x").transform(rows));
    refused(
        "there is a column prompt already", () -> writer().setOutputCol("prompt").transform(rows));
    refused(
        "column prompt is string, expected bigint",
        () -> writer().setSeedCol("prompt").transform(rows));
    refused("choicesCol is not set", () -> writer().setTask("likelihood").transform(rows));
    refused("temperature", () -> writer().setTemperature(-1).transform(rows));
    Dataset<Row> empty = rows.selectExpr("'' as prompt");
    refused(
        "column prompt is empty in row 1 of partition 0",
        () -> writer().transform(empty).collectAsList());
    Dataset<Row> missing = rows.selectExpr("cast(null as string) as prompt");
    refused(
        "column prompt is null in row 1 of partition 0",
        () -> writer().transform(missing).collectAsList());
    refused(
        "there is no model none on ", () -> writer().setModel("none").transform(rows).collect());
  }

  /** A file system that is not the local one by its name. */
  public static final class Copied extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("copied:///");
    }
  }

  private static long copies() throws IOException {
    try (Stream<Path> all = Files.list(Path.of(SparkFiles.getRootDirectory()))) {
      return all.filter(each -> each.getFileName().toString().startsWith("panamoe-")).count();
    }
  }

  @Test
  void aCopyOfAModelGoesWithIt() throws Exception {
    session.sparkContext().conf().set("spark.hadoop.fs.copied.impl", Copied.class.getName());
    SharedModel.closeUnused();
    MoeTransformer copied = writer().setModel("copied://" + model);
    copied.dryRun();
    assertEquals(0, copies());
    assertEquals(texts(writer().transform(prompts(1))), texts(copied.transform(prompts(1))));
    assertEquals(1, copies());
    Path empty = Files.createDirectory(folder.resolve("empty"));
    MoeTransformer none = writer().setModel("copied://" + empty);
    refused("holds nothing: no checkpoint", () -> none.transform(prompts(1)).collect());
    SharedModel.closeUnused();
    assertEquals(0, copies());
  }

  @Test
  void theMemoryOfAnExecutor() {
    String memory = writer().dryRun();
    assertTrue(
        memory.matches(
            "memory of each executor, outside of its heap: .* \\(weights .*, keys and values .*\\)"),
        memory);
    assertNotEquals(memory, writer().setSequences(64).dryRun());
  }
}

package panamoe.spark;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import panamoe.api.Device;
import panamoe.text.GenerationOptions;
import panamoe.text.ModelOptions;
import panamoe.text.ServiceOptions;
import panamoe.text.TextCompletion;
import panamoe.text.TextRequest;
import panamoe.text.TextService;

/**
 * The throughput of the transformer against that of its engine alone, on the same prompts and
 * cores: {@code SparkBench MODEL PROMPTS TOKENS}. Alternates, and prints each turn.
 */
final class SparkBench {
  private static final int CORES = 2;
  private static final int SEQUENCES = 16;
  private static final int TURNS = 4;

  private SparkBench() {}

  public static void main(String[] args) throws Exception {
    Path model = Path.of(args[0]);
    int tokens = Integer.parseInt(args[2]);
    List<String> prompts =
        IntStream.range(0, Integer.parseInt(args[1])).mapToObj(i -> "Speech " + i).toList();
    SparkSession session =
        LocalSpark.builder("local[" + CORES + "]", Path.of("target")).getOrCreate();
    Dataset<Row> rows =
        session.createDataset(prompts, Encoders.STRING()).toDF("prompt").repartition(CORES);
    MoeTransformer writer =
        new MoeTransformer()
            .setModel(model.toString())
            .setInputCol("prompt")
            .setOutputCol("text")
            .setDevice("cpu")
            .setThreads(CORES)
            .setSequences(SEQUENCES)
            .setMaxTokens(tokens);
    ServiceOptions options =
        ServiceOptions.USUAL.withDevice(Device.Type.CPU, CORES).withWaiting(prompts.size());
    try (TextService alone =
        TextService.open(model, ModelOptions.USUAL.withSequences(SEQUENCES), options)) {
      for (int turn = 0; turn < TURNS; turn++) {
        double engine = seconds(() -> complete(alone, prompts, tokens));
        double spark = seconds(() -> writer.transform(rows).select("text").collectAsList());
        System.out.println(
            "turn "
                + turn
                + ": engine "
                + engine
                + " s, transformer "
                + spark
                + " s, ratio "
                + engine / spark);
      }
    }
    session.stop();
  }

  private static void complete(TextService service, List<String> prompts, int tokens) {
    List<TextCompletion> all = new ArrayList<>();
    for (String prompt : prompts) {
      all.add(service.submit(TextRequest.of(prompt, GenerationOptions.of(tokens))));
    }
    all.forEach(TextCompletion::join);
  }

  private static double seconds(Runnable work) {
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1e9;
  }
}

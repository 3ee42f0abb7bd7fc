package panamoe.spark;

import java.io.IOException;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/** The snippets of docs/spark.md. */
final class SparkExample {
  private SparkExample() {}

  static TrainingOutcome train(Dataset<Row> novels, String config, String folder)
      throws IOException, InterruptedException {
    // @start region="train"
    MoeTraining training =
        new MoeTrainer()
            .setConfig(config) // of panamoe train
            .setFolder(folder) // such as hdfs:///runs/novels
            .setRanks(2)
            .start(novels.select("text"));
    System.out.println(training.progress());
    return training.await();
    // @end
  }

  static Dataset<Row> transform(Dataset<Row> rows, String folder, String saved) throws IOException {
    // @start region="transform"
    MoeTransformer writer =
        new MoeTransformer()
            .setModel(folder)
            .setInputCol("prompt")
            .setOutputCol("text")
            .setMaxTokens(16);
    Pipeline pipeline = new Pipeline().setStages(new PipelineStage[] {writer});
    pipeline.fit(rows).write().overwrite().save(saved);
    return PipelineModel.load(saved).transform(rows);
    // @end
  }
}

package panamoe.spark;

import java.nio.file.Path;
import org.apache.spark.sql.SparkSession;
import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/** A session of two cores in this process, and what its tests train. */
final class LocalSpark {
  private LocalSpark() {}

  /** The session that all tests of this process share; it ends with the process. */
  static SparkSession session() {
    return builder("local[2]", Path.of("target")).getOrCreate();
  }

  static SparkSession.Builder builder(String master, Path folder) {
    return SparkSession.builder()
        .master(master)
        .appName("panamoe")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", 2)
        .config("spark.sql.warehouse.dir", folder.resolve("warehouse").toString())
        .config("spark.executor.heartbeatInterval", "200ms")
        .config("spark.ui.port", 0);
  }

  /** A tiny model that trains on bytes, saved every two steps. */
  static RunConfig config(int steps) {
    return config(steps, 2);
  }

  static RunConfig config(int steps, int every) {
    TrainConfig training = TrainConfig.of(steps, 6, 32);
    return new RunConfig(
        ModelPresets.of(Size.TINY, Architecture.PR_MOE, 257),
        training.with(TrainConfig.Checkpoints.of(0, every)),
        7);
  }
}

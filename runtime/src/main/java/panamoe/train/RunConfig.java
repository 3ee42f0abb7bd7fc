package panamoe.train;

import java.nio.file.Path;
import panamoe.io.ConfigJson;
import panamoe.model.ModelConfig;
import panamoe.parallel.Topology;

/**
 * A run: the model and its training, as {@code config.json} holds it.
 *
 * @param seed of weights, data order and noise
 */
public record RunConfig(ModelConfig model, TrainConfig training, long seed) {

  public RunConfig {
    if (model == null || training == null) {
      throw new IllegalArgumentException("a run needs both \"model\" and \"training\"");
    }
    if (training.sequence() > model.context()) {
      throw new IllegalArgumentException(
          "training.sequence is "
              + training.sequence()
              + ", more than model.context = "
              + model.context());
    }
  }

  /** The same run up to another step; the learning rate falls over all of them. */
  public RunConfig withSteps(int steps) {
    return new RunConfig(model, training.withSteps(steps), seed);
  }

  /**
   * Refuses ranks among which this run cannot be divided.
   *
   * @throws IllegalArgumentException with what does not divide
   */
  public void requireFits(Topology topology) {
    int sequences = training.batch() / training.microBatches();
    requireDivides(sequences, "sequences of a micro-batch", topology.dataDegree(), "data ranks");
    requireDivides(
        model.keyValueHeads(), "key/value heads", topology.tensorDegree(), "tensor ranks");
    requireDivides(
        model.feedForward(), "columns of an MLP", topology.tensorDegree(), "tensor ranks");
  }

  private static void requireDivides(int count, String things, int ranks, String among) {
    if (count % ranks != 0) {
      throw new IllegalArgumentException(
          count + " " + things + " do not divide among " + ranks + " " + among);
    }
  }

  /**
   * Reads {@code file}; strict, see {@link ConfigJson}.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static RunConfig read(Path file) {
    return ConfigJson.read(file, RunConfig.class);
  }

  /** The JSON text that {@link #read} reads. */
  public String toJson() {
    return ConfigJson.text(this);
  }
}

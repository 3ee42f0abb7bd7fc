package panamoe.train;

import java.nio.file.Path;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.parallel.Topology;
import tools.jackson.databind.JsonNode;

/**
 * A run: the model and its training, as {@code config.json} holds it.
 *
 * @param seed of weights, data order and noise
 * @param distillation how the model learns from a teacher; null: it has none
 */
public record RunConfig(
    ModelConfig model,
    TrainConfig training,
    long seed,
    @Omittable DistillationConfig distillation) {

  /** The key of the training, which a model that a framework saved does not have. */
  public static final String TRAINING = "training";

  /** A run without a teacher. */
  public RunConfig(ModelConfig model, TrainConfig training, long seed) {
    this(model, training, seed, null);
  }

  public RunConfig {
    Require.that(model != null && training != null, "a run needs both \"model\" and \"training\"");
    Require.that(
        !model.head().bias(),
        "model.head.bias is true, but a head with a bias has no backward and cannot be trained");
    Require.that(
        training.sequence() <= model.context(),
        "training.sequence is %s, more than model.context = %s",
        training.sequence(),
        model.context());
  }

  /** Whether a teacher is asked in step {@code step} (from 0) or later. */
  public boolean asksTeacher(long step) {
    return distillation != null && distillation.alpha(step, training.steps()) > 0;
  }

  /** This run with another number of steps, over which the learning rate falls. */
  public RunConfig withSteps(int steps) {
    return new RunConfig(model, training.withSteps(steps), seed, distillation);
  }

  /**
   * Refuses a topology over which this run cannot be divided.
   *
   * @throws IllegalArgumentException that names the value which does not divide
   */
  public void requireFits(Topology topology) {
    int sequences = training.batch() / training.microBatches();
    requireDivides(sequences, "sequences of a micro-batch", topology.dataDegree(), "data ranks");
    for (BlockConfig block : model.blocks()) {
      block.attention().requireShared(topology.tensorDegree());
      switch (block.feedForward()) {
        case DenseConfig dense -> requireSlices(topology, dense.inner(), "columns of an MLP");
        case MoeConfig moe -> {
          requireDivides(
              moe.inner(), "columns of an expert", topology.expertSlices(), "expert slices");
          if (moe.residual() != null) {
            requireSlices(topology, moe.residual().inner(), "columns of an MLP");
          }
          if (moe.shared() != null) {
            requireSlices(topology, moe.shared().inner(), "columns of an MLP");
          }
        }
      }
    }
  }

  private static void requireSlices(Topology topology, int count, String things) {
    requireDivides(count, things, topology.tensorDegree(), "tensor ranks");
  }

  private static void requireDivides(int count, String things, int ranks, String among) {
    Require.that(
        count % ranks == 0, "%s %s do not divide among %s %s", count, things, ranks, among);
  }

  /**
   * Reads {@code file}; strict, see {@link ConfigJson}.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static RunConfig read(Path file) {
    JsonNode tree = ConfigJson.tree(file, RunConfig.class);
    if (tree.has("model_type") && !tree.has("model")) {
      throw new IllegalArgumentException(
          file
              + " describes a released model; give its folder to generate, chat, serve, eval or inspect,"
              + " or to train --from");
    }
    if (tree.has(Checkpoint.QUANTIZATION)) {
      throw new IllegalArgumentException(
          file + " describes a quantized model, which is not trained; train what it was made of");
    }
    return ConfigJson.read(tree, RunConfig.class, file.toString());
  }

  /**
   * The training of the run that saved a checkpoint.
   *
   * @throws CheckpointException if a framework saved it, or a value is wrong
   */
  public static TrainConfig trainingOf(Checkpoint checkpoint) {
    if (!checkpoint.config().has(TRAINING)) {
      throw new CheckpointException(
          "%s was saved by a framework, and this needs a checkpoint of panamoe train",
          checkpoint.directory());
    }
    return checkpoint.config(TRAINING, TrainConfig.class);
  }

  /** The JSON text that {@link #read} reads. */
  public String toJson() {
    return ConfigJson.text(this);
  }
}

package panamoe.train;

import java.nio.file.Path;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.AdapterConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.open.AdaptedBase;
import panamoe.parallel.Topology;
import tools.jackson.databind.JsonNode;

/**
 * The {@code config.json} of a run: the model and its training.
 *
 * @param seed of weights, data order and noise
 * @param distillation how the model learns from a teacher; null: it has none
 * @param preference how the model learns from pairs of answers; null: it does not
 * @param adapters that are trained in place of the model; null: none
 * @param base the model that the adapters are of; null: none
 */
public record RunConfig(
    ModelConfig model,
    TrainConfig training,
    long seed,
    @Omittable DistillationConfig distillation,
    @Omittable PreferenceConfig preference,
    @Omittable AdapterConfig adapters,
    @Omittable AdaptedBase base) {

  /** The key of the training; missing if a framework saved the model. */
  public static final String TRAINING = "training";

  /** A run that trains a whole model. */
  public RunConfig(
      ModelConfig model, TrainConfig training, long seed, DistillationConfig distillation) {
    this(model, training, seed, distillation, null, null, null);
  }

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
        (adapters == null) == (base == null) && (adapters == null || distillation == null),
        "a run of adapters needs both \"adapters\" and \"base\", and no \"distillation\"");
    Require.that(
        training.batch().length() <= model.context(),
        "training.sequence is %s, more than model.context = %s",
        training.batch().length(),
        model.context());
    if (distillation != null && distillation.onPolicyMix() != null) {
      requireSamples(model, training);
    }
  }

  /** Checks that a student can write while it is trained. */
  private static void requireSamples(ModelConfig model, TrainConfig training) {
    model.requireGeneration();
    Require.that(
        training.batch().length() >= 4,
        "training.sequence is %s, but a student that continues half a sequence needs 4 or more",
        training.batch().length());
    Require.that(
        model.equals(model.withGates(GateConfig::withoutDropping)),
        "the student's gates drop tokens, so what it samples would depend on other sequences; train it dropless, or without --on-policy");
  }

  /** This run, which trains adapters of {@code of} alone. */
  public RunConfig adapting(AdapterConfig wanted, AdaptedBase of) {
    return new RunConfig(model, training, seed, distillation, preference, wanted, of);
  }

  /** This run, which learns from pairs of answers; null: it does not. */
  public RunConfig preferring(PreferenceConfig pairs) {
    return new RunConfig(model, training, seed, distillation, pairs, adapters, base);
  }

  /** Whether a teacher is needed in step {@code step} (from 0) or later. */
  public boolean asksTeacher(long step) {
    return distillation != null && distillation.alpha(step, training.schedule().steps()) > 0;
  }

  /** This run with another number of steps; the learning rate falls over that number. */
  public RunConfig withSteps(int steps) {
    return new RunConfig(
        model, training.withSteps(steps), seed, distillation, preference, adapters, base);
  }

  /**
   * Checks that this run divides over a topology.
   *
   * @throws IllegalArgumentException that names the value which does not divide
   */
  public void requireFits(Topology topology) {
    int sequences = training.batch().microSequences();
    Require.that(
        topology.ranks() == 1 || distillation == null || distillation.onPolicyMix() == null,
        "a student that samples trains on one rank, not on %s; leave out --on-policy or --ranks",
        topology.ranks());
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
              + " describes a released model; give its folder to generate, chat, serve, eval or"
              + " inspect, or to train --from");
    }
    if (tree.has(Checkpoint.QUANTIZATION)) {
      throw new IllegalArgumentException(
          file
              + " describes a quantized model, which cannot be trained; train the model that it was"
              + " made of");
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

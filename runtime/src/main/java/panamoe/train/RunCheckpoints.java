package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.checkpoint.Shards;
import panamoe.io.ConfigJson;
import panamoe.model.KeptLayers;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Saves a trainer's state into a folder and restores it bit for bit. Used by the trainer's thread.
 *
 * <p>With several ranks, all methods are collective. Each rank writes a part of the tensors, but
 * every stored tensor is whole and has its name in the model, so that any topology can read
 * another's checkpoint.
 */
public final class RunCheckpoints {
  private static final int KEPT = 2;

  private final Trainer trainer;
  private final Ranks ranks;
  private final CheckpointStore store;
  private final TrainedTensors tensors;

  public RunCheckpoints(Trainer trainer, Path directory) {
    this.trainer = trainer;
    this.ranks = trainer.model().parameters().ranks();
    this.store = new CheckpointStore(directory, KEPT);
    this.tensors = new TrainedTensors(trainer.backend(), trainer.model(), trainer.optimizer());
  }

  /**
   * Saves the state after the trainer's last step.
   *
   * @throws CheckpointException if it could not be written; the checkpoints before it are intact
   */
  public SaveReport save() {
    TrainerState state = trainer.state();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("step", state.step());
    if (!Double.isNaN(state.runningLoss())) {
      // A string with the exact bits, because a resumed run must not differ in the last place.
      json.put("running_loss", Double.toHexString(state.runningLoss()));
    }
    return tensors.save(store, state.step(), node(trainer.config()), json, Map.of());
  }

  /**
   * The latest checkpoint in {@code directory}, for a trainer of {@code config}; topology and
   * number of steps may differ from the saved run's. Reads no weights: a checkpoint that does not
   * fit is refused before a trainer is created.
   *
   * @return the same on all ranks; empty if nothing was saved yet
   * @throws CheckpointException if it is damaged, comes from another configuration, lacks tensors
   *     of its model, or its state does not match its step
   */
  public static Optional<Checkpoint> latest(Path directory, RunConfig config, Ranks ranks) {
    // Only one rank looks, because the folder may change before another does.
    Optional<Path> seen =
        ranks.first()
            ? new CheckpointStore(directory, KEPT).openLatest().map(Checkpoint::directory)
            : Optional.empty();
    byte[] told = ranks.world().broadcast(seen.map(Path::toString).orElse("").getBytes(UTF_8), 0);
    if (told.length == 0) {
      return Optional.empty();
    }
    Checkpoint checkpoint = Checkpoint.open(Path.of(new String(told, UTF_8)));
    requireTrainedBy(config, checkpoint);
    state(checkpoint);
    checkpoint.requireHolds(ModelTensors.shapes(config.model()));
    return Optional.of(checkpoint);
  }

  /**
   * Refuses a checkpoint whose configuration differs from {@code config} in more than the number of
   * steps.
   *
   * @throws CheckpointException with every value that differs
   */
  public static void requireTrainedBy(RunConfig config, Checkpoint checkpoint) {
    String differs =
        ConfigDifference.between(withoutSteps(checkpoint.config()), withoutSteps(node(config)));
    if (!differs.isEmpty()) {
      throw new CheckpointException(
          "%s was trained with another configuration (%s); to go on, put back its own, the"
              + " config.json in it",
          checkpoint.directory(), differs);
    }
  }

  /**
   * Restores the checkpoint from {@link #latest} into the trainer.
   *
   * @return the loader's warnings
   * @throws CheckpointException if it is damaged, or the optimizer's tensors do not match the model
   */
  public List<String> restore(Checkpoint checkpoint) {
    List<String> warnings = tensors.read(checkpoint);
    trainer.restore(state(checkpoint));
    return warnings;
  }

  /**
   * Starts a student from layers of its teacher: reads the weights of {@code teacher} into the
   * trainer's parameters. Call it before the first step.
   *
   * @param kept the teacher's layer of each of the student's
   * @throws CheckpointException if the teacher's tensors have other shapes, or are damaged
   */
  public void startFrom(Checkpoint teacher, KeptLayers kept) {
    try (Shards model = teacher.model();
        TensorScope scope = TensorScope.shared(trainer.backend())) {
      RankTensors tensors = new RankTensors(scope);
      for (AdamW.Moments each : trainer.optimizer().moments()) {
        Parameter parameter = each.parameter();
        Tensor whole = tensors.placeFor(parameter, parameter.master());
        ModelTensors.named(parameter, "", whole)
            .forEach((name, tensor) -> model.read(kept.source(name), tensor));
        tensors.cut(parameter, whole, parameter.master());
        tensors.freeAllBut(null);
      }
    }
    trainer.restore(trainer.state());
  }

  private static TrainerState state(Checkpoint checkpoint) {
    ObjectNode state = checkpoint.state();
    String file = checkpoint.directory() + "/state.json";
    JsonNode step = state.path("step");
    if (!step.isIntegralNumber()
        || !step.canConvertToLong()
        || step.asLong() != checkpoint.step()) {
      throw new CheckpointException(
          "%s has %s, but the manifest beside it has %s",
          file, step.isMissingNode() ? "no step" : "the step " + step, checkpoint.step());
    }
    JsonNode runningLoss = state.path("running_loss"); // absent before the first step
    try {
      double loss =
          runningLoss.isMissingNode() ? Double.NaN : Double.parseDouble(runningLoss.asString(""));
      if (runningLoss.isMissingNode() || Double.isFinite(loss)) {
        return new TrainerState(step.asLong(), loss);
      }
    } catch (NumberFormatException _) {
      // an invalid value is refused below
    }
    throw new CheckpointException(
        file + " has the running_loss " + runningLoss + ", expected a finite number");
  }

  private static JsonNode withoutSteps(JsonNode config) {
    JsonNode copy = config.deepCopy();
    if (copy.get("training") instanceof ObjectNode training) {
      training.remove("steps");
    }
    return copy;
  }

  private static ObjectNode node(RunConfig config) {
    return (ObjectNode) ConfigJson.tree(config);
  }
}

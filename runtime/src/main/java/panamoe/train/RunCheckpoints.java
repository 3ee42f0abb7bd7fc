package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointMirror;
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
  private static final String BEST_SCORE = "best_score";
  private static final String WORSE = "worse_validations";

  private final Trainer trainer;
  private final Ranks ranks;
  private final CheckpointStore store;
  private final TrainedTensors tensors;

  /** In a folder that all ranks share. */
  public RunCheckpoints(Trainer trainer, Path directory) {
    this(trainer, new CheckpointStore(directory, KEPT));
  }

  /** In a folder of each rank, with a copy in one place. */
  public RunCheckpoints(Trainer trainer, Path directory, CheckpointMirror mirror) {
    this(trainer, CheckpointStore.mirrored(directory, KEPT, mirror));
  }

  private RunCheckpoints(Trainer trainer, CheckpointStore store) {
    this.trainer = trainer;
    this.ranks = trainer.model().parameters().ranks();
    this.store = store;
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
    if (state.best() != null) {
      json.put(CheckpointStore.BEST, state.best().step());
      json.put(BEST_SCORE, Double.toHexString(state.best().score()));
      json.put(WORSE, state.best().worse());
    }
    return tensors.save(store, state.step(), node(trainer.config()), json, Map.of());
  }

  /**
   * The first rank's latest checkpoint in {@code directory}, for a trainer of {@code config};
   * topology and number of steps may differ from the saved run's. Reads no weights: a checkpoint
   * that does not fit is refused before a trainer is created.
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
    String name = seen.map(path -> path.getFileName().toString()).orElse("");
    byte[] latest = ranks.world().broadcast(name.getBytes(UTF_8), 0);
    if (latest.length == 0) {
      return Optional.empty();
    }
    Checkpoint checkpoint = Checkpoint.open(directory.resolve(new String(latest, UTF_8)));
    requireTrainedBy(config, checkpoint);
    state(checkpoint);
    checkpoint.requireHolds(ModelTensors.shapes(config.model(), config.adapters()));
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
   * Whether a checkpoint is a run's last, by its steps or by its patience.
   *
   * @throws CheckpointException if its state does not match its step
   */
  public static boolean isLast(RunConfig config, Checkpoint checkpoint) {
    return state(checkpoint).finishes(config.training());
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
          "%s has %s, but its manifest has %s",
          file, step.isMissingNode() ? "no step" : "the step " + step, checkpoint.step());
    }
    JsonNode runningLoss = state.path("running_loss"); // absent before the first step
    try {
      double loss =
          runningLoss.isMissingNode() ? Double.NaN : Double.parseDouble(runningLoss.asString(""));
      if (runningLoss.isMissingNode() || Double.isFinite(loss)) {
        return new TrainerState(step.asLong(), loss, best(checkpoint));
      }
    } catch (NumberFormatException _) {
      // an invalid value is refused below
    }
    throw new CheckpointException(
        file + " has the running_loss " + runningLoss + ", expected a finite number");
  }

  /** Null if the run has none. */
  private static Best best(Checkpoint checkpoint) {
    OptionalLong step = checkpoint.bestStep();
    if (step.isEmpty()) {
      return null;
    }
    String score = checkpoint.state().path(BEST_SCORE).asString("");
    try {
      int worse = checkpoint.state().path(WORSE).asInt(0);
      return new Best(step.getAsLong(), Double.parseDouble(score), worse);
    } catch (NumberFormatException e) {
      throw new CheckpointException(
          checkpoint.directory() + "/state.json has the best_score '" + score + "', not a number",
          e);
    }
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

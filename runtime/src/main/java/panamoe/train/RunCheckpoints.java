package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.checkpoint.Shards;
import panamoe.comm.Communicator;
import panamoe.io.ConfigJson;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Saves a trainer into a folder and brings it back, bit for bit. Used by the trainer's thread.
 *
 * <p>Over several ranks all call the same methods. Each writes a part of the tensors, but every
 * tensor is whole and has its name in the model, so that any topology can read what another has
 * saved.
 */
public final class RunCheckpoints {
  private static final int KEPT = 2;
  private static final String FIRST = "first_moment.";
  private static final String SECOND = "second_moment.";

  private final Trainer trainer;
  private final Ranks ranks;
  private final CheckpointStore store;
  // Views of what this rank writes and has whole, made once.
  private final Map<String, Tensor> weights = new LinkedHashMap<>();
  private final Map<String, Tensor> moments = new LinkedHashMap<>();

  public RunCheckpoints(Trainer trainer, Path directory) {
    this.trainer = trainer;
    this.ranks = trainer.model().parameters().ranks();
    this.store = new CheckpointStore(directory, KEPT);
    for (AdamW.Moments each : trainer.moments()) {
      Parameter parameter = each.parameter();
      if (writes(parameter) && parameter.slice().whole()) {
        weights.putAll(ModelTensors.named(parameter, "", parameter.master()));
        if (each.alone()) {
          moments.putAll(
              ModelTensors.named(parameter, FIRST, each.first().reshape(parameter.shape())));
          moments.putAll(
              ModelTensors.named(parameter, SECOND, each.second().reshape(parameter.shape())));
        }
      }
    }
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
      // A string of the exact bits: a resumed run must not differ in the last place.
      json.put("running_loss", Double.toHexString(state.runningLoss()));
    }
    trainer.backend().synchronize();
    try (TensorScope scope = TensorScope.shared(trainer.backend())) {
      Map<String, Tensor> model = new LinkedHashMap<>(weights);
      Map<String, Tensor> optimizer = new LinkedHashMap<>(moments);
      gather(new RankTensors(scope), model, optimizer);
      List<Integer> experts = trainer.model().config().experts();
      return store.save(
          new CheckpointContents(
              state.step(), node(trainer.config()), json, experts, model, optimizer),
          ranks.world());
    }
  }

  /** Puts what is spread over ranks together on the rank that writes it. */
  private void gather(
      RankTensors tensors, Map<String, Tensor> model, Map<String, Tensor> optimizer) {
    for (AdamW.Moments each : trainer.moments()) {
      Parameter parameter = each.parameter();
      boolean sliced = !parameter.slice().whole();
      if (sliced) {
        keep(tensors, parameter, "", tensors.whole(parameter, parameter.master()), model);
      }
      if (sliced || !each.alone()) {
        keep(
            tensors,
            parameter,
            FIRST,
            tensors.whole(parameter, tensors.joined(each, each.first())),
            optimizer);
        keep(
            tensors,
            parameter,
            SECOND,
            tensors.whole(parameter, tensors.joined(each, each.second())),
            optimizer);
      }
    }
  }

  private static void keep(
      RankTensors tensors,
      Parameter parameter,
      String prefix,
      Tensor whole,
      Map<String, Tensor> into) {
    boolean mine = writes(parameter);
    if (mine) {
      into.putAll(ModelTensors.named(parameter, prefix, whole));
    }
    tensors.freeAllBut(mine ? whole : null);
  }

  /**
   * Whether this is the one rank that writes a parameter: the replicas take turns, and so do the
   * tensor ranks.
   */
  private static boolean writes(Parameter parameter) {
    Communicator replicas = parameter.replicas();
    Communicator slices = parameter.slice().ranks();
    // By the name, for a parameter's place in the list is another where tensor ranks do not hold
    // all biases.
    int turn = Math.floorMod(parameter.name().hashCode(), replicas.size() * slices.size());
    return parameter.counted() && turn == replicas.rank() * slices.size() + slices.rank();
  }

  /**
   * The latest checkpoint in {@code directory}, to be restored into a trainer of {@code config}, on
   * whatever topology and to whatever step it was to train. Reads no weights: what does not fit is
   * refused before a trainer is made.
   *
   * @return the same on all ranks; empty if there is none yet
   * @throws CheckpointException if it is damaged, was made by another configuration, or does not
   *     hold its model, or if its state is not that of its step
   */
  public static Optional<Checkpoint> latest(Path directory, RunConfig config, Ranks ranks) {
    // One rank looks, for another might look before or after a change.
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
   * Refuses a checkpoint of another run than that of {@code config}, to whatever step either was to
   * train.
   *
   * @throws CheckpointException with every value that differs
   */
  public static void requireTrainedBy(RunConfig config, Checkpoint checkpoint) {
    JsonNode before = RunConfig.today(checkpoint.config(), checkpoint.directory() + "/config.json");
    String differs = ConfigDifference.between(withoutSteps(before), withoutSteps(node(config)));
    if (!differs.isEmpty()) {
      throw new CheckpointException(
          checkpoint.directory()
              + " was trained with another configuration ("
              + differs
              + "); to go on, put back its own, the config.json in it");
    }
  }

  /**
   * Restores what {@link #latest} has found into the trainer.
   *
   * @return warnings of the loader
   * @throws CheckpointException if it is damaged, or the optimizer's tensors are not those of the
   *     model
   */
  public List<String> restore(Checkpoint checkpoint) {
    List<String> warnings = readInto(checkpoint);
    trainer.restore(state(checkpoint));
    return warnings;
  }

  private static TrainerState state(Checkpoint checkpoint) {
    ObjectNode state = checkpoint.state();
    String file = checkpoint.directory() + "/state.json";
    JsonNode step = state.path("step");
    if (!step.isIntegralNumber()
        || !step.canConvertToLong()
        || step.asLong() != checkpoint.step()) {
      throw new CheckpointException(
          file
              + " has "
              + (step.isMissingNode() ? "no step" : "the step " + step)
              + ", but the manifest beside it has "
              + checkpoint.step());
    }
    JsonNode runningLoss = state.path("running_loss"); // none before the first step
    try {
      double loss =
          runningLoss.isMissingNode() ? Double.NaN : Double.parseDouble(runningLoss.asText());
      if (runningLoss.isMissingNode() || Double.isFinite(loss)) {
        return new TrainerState(step.asLong(), loss);
      }
    } catch (NumberFormatException _) {
      // refused below
    }
    throw new CheckpointException(
        file + " has the running_loss " + runningLoss + ", expected a finite number");
  }

  /** Reads this rank's part of everything. */
  private List<String> readInto(Checkpoint checkpoint) {
    Map<String, long[]> shapes = ModelTensors.shapes(trainer.model().config());
    Map<String, long[]> ofMoments = new LinkedHashMap<>();
    shapes.forEach(
        (name, shape) -> {
          ofMoments.put(FIRST + name, shape);
          ofMoments.put(SECOND + name, shape);
        });
    try (Shards model = checkpoint.model();
        Shards optimizer = checkpoint.optimizer();
        TensorScope scope = TensorScope.shared(trainer.backend())) {
      model.requireExactly(shapes);
      optimizer.requireExactly(ofMoments);
      RankTensors tensors = new RankTensors(scope);
      for (AdamW.Moments each : trainer.moments()) {
        read(model, "", tensors, each.parameter(), each.parameter().master());
        readShare(optimizer, FIRST, tensors, each, each.first());
        readShare(optimizer, SECOND, tensors, each, each.second());
      }
      return model.warning().stream().toList();
    }
  }

  private static void readShare(
      Shards shards, String prefix, RankTensors tensors, AdamW.Moments moments, Tensor share) {
    Tensor held = tensors.placeFor(moments, share);
    read(shards, prefix, tensors, moments.parameter(), held);
    tensors.takeShare(moments, held, share);
    tensors.freeAllBut(null);
  }

  private static void read(
      Shards shards, String prefix, RankTensors tensors, Parameter parameter, Tensor held) {
    Tensor whole = tensors.placeFor(parameter, held);
    ModelTensors.named(parameter, prefix, whole).forEach(shards::read);
    tensors.cut(parameter, whole, held);
  }

  private static ObjectNode withoutSteps(JsonNode config) {
    ObjectNode copy = config.deepCopy();
    if (copy.get("training") instanceof ObjectNode training) {
      training.remove("steps");
    }
    return copy;
  }

  private static ObjectNode node(RunConfig config) {
    return (ObjectNode) ConfigJson.tree(config);
  }
}

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
import panamoe.model.KeptLayers;
import panamoe.model.ModelTensors;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Saves a trainer's state into a folder and restores it bit for bit. Used by the trainer's thread.
 *
 * <p>With several ranks, all methods are collective. Each rank writes a part of the tensors, but
 * every stored tensor is whole and has its name in the model, so that any topology can read
 * another's checkpoint.
 */
public final class RunCheckpoints {
  private static final int KEPT = 2;
  private static final String FIRST = "first_moment.";
  private static final String SECOND = "second_moment.";

  private final Trainer trainer;
  private final Ranks ranks;
  private final CheckpointStore store;
  // Views of the tensors that this rank writes and has whole, created once.
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
      // A string with the exact bits, because a resumed run must not differ in the last place.
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

  /** Gathers tensors that are spread over ranks on the rank that writes them. */
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
   * Whether this rank writes a parameter. The writers rotate over the replicas and the tensor
   * ranks.
   */
  private static boolean writes(Parameter parameter) {
    Communicator replicas = parameter.replicas();
    Communicator slices = parameter.slice().ranks();
    // By a hash of the name, because a parameter's index differs between tensor ranks, of which not
    // all hold the biases.
    int turn = Math.floorMod(parameter.name().hashCode(), replicas.size() * slices.size());
    return parameter.counted() && turn == replicas.rank() * slices.size() + slices.rank();
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
   * Restores the checkpoint from {@link #latest} into the trainer.
   *
   * @return the loader's warnings
   * @throws CheckpointException if it is damaged, or the optimizer's tensors do not match the model
   */
  public List<String> restore(Checkpoint checkpoint) {
    List<String> warnings = readInto(checkpoint);
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
      for (AdamW.Moments each : trainer.moments()) {
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
          file
              + " has "
              + (step.isMissingNode() ? "no step" : "the step " + step)
              + ", but the manifest beside it has "
              + checkpoint.step());
    }
    JsonNode runningLoss = state.path("running_loss"); // absent before the first step
    try {
      double loss =
          runningLoss.isMissingNode() ? Double.NaN : Double.parseDouble(runningLoss.asText());
      if (runningLoss.isMissingNode() || Double.isFinite(loss)) {
        return new TrainerState(step.asLong(), loss);
      }
    } catch (NumberFormatException _) {
      // an invalid value is refused below
    }
    throw new CheckpointException(
        file + " has the running_loss " + runningLoss + ", expected a finite number");
  }

  /** Reads this rank's part of the parameters and moments. */
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
      // An edited model is at step 0 and has no moments yet: they stay zero.
      boolean begins = checkpoint.step() == 0 && optimizer.isEmpty();
      if (!begins) {
        optimizer.requireExactly(ofMoments);
      }
      RankTensors tensors = new RankTensors(scope);
      for (AdamW.Moments each : trainer.moments()) {
        read(model, "", tensors, each.parameter(), each.parameter().master());
        if (!begins) {
          readShare(optimizer, FIRST, tensors, each, each.first());
          readShare(optimizer, SECOND, tensors, each, each.second());
        }
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

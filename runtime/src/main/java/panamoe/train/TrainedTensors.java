package panamoe.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.checkpoint.Shards;
import panamoe.comm.Communicator;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.ObjectNode;

/**
 * Saves and reads the weights and the optimizer's moments of a model in training. With several
 * ranks, all methods are collective.
 */
public final class TrainedTensors {
  private final Backend backend;
  private final LanguageModel model;
  private final List<AdamW.Moments> all;
  // Views of the unsharded tensors that this rank writes, created once.
  private final Map<String, Tensor> weights = new LinkedHashMap<>();
  private final Map<String, Tensor> moments = new LinkedHashMap<>();

  /**
   * @param model materialized for training on {@code backend}
   * @param optimizer of the model; null: no moments
   */
  public TrainedTensors(Backend backend, LanguageModel model, AdamW optimizer) {
    this.backend = backend;
    this.model = model;
    this.all = optimizer == null ? List.of() : optimizer.moments();
    for (Parameter parameter : model.parameters().trained()) {
      if (here(parameter)) {
        weights.putAll(ModelTensors.named(parameter, "", parameter.master()));
      }
    }
    for (AdamW.Moments each : all) {
      Parameter parameter = each.parameter();
      if (here(parameter) && each.alone()) {
        each.forEach(
            (prefix, state) ->
                moments.putAll(
                    ModelTensors.named(parameter, prefix, state.reshape(parameter.shape()))));
      }
    }
  }

  private static boolean here(Parameter parameter) {
    return writes(parameter) && parameter.slice().whole();
  }

  /**
   * Saves a checkpoint.
   *
   * @param config of the model and its training
   * @param state of the training other than tensors
   * @param others tensors of another optimizer that this rank writes, by name
   * @throws CheckpointException if it could not be written; earlier checkpoints are intact
   */
  public SaveReport save(
      CheckpointStore store,
      long step,
      ObjectNode config,
      ObjectNode state,
      Map<String, Tensor> others) {
    backend.synchronize();
    try (TensorScope scope = TensorScope.shared(backend)) {
      Map<String, Tensor> model = new LinkedHashMap<>(weights);
      Map<String, Tensor> optimizer = new LinkedHashMap<>(moments);
      optimizer.putAll(others);
      gather(new RankTensors(scope), model, optimizer);
      List<Integer> experts = this.model.config().experts();
      return store.save(
          new CheckpointContents(step, config, state, experts, model, optimizer),
          this.model.parameters().ranks().world());
    }
  }

  /** Gathers sharded tensors on the rank that writes them. */
  private void gather(
      RankTensors tensors, Map<String, Tensor> model, Map<String, Tensor> optimizer) {
    for (Parameter parameter : this.model.parameters().trained()) {
      if (!parameter.slice().whole()) {
        keep(tensors, parameter, "", tensors.whole(parameter, parameter.master()), model);
      }
    }
    for (AdamW.Moments each : all) {
      Parameter parameter = each.parameter();
      if (!parameter.slice().whole() || !each.alone()) {
        each.forEach(
            (prefix, state) -> {
              Tensor whole = tensors.whole(parameter, tensors.joined(each, state));
              keep(tensors, parameter, prefix, whole, optimizer);
            });
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
    // By a hash of the name, because tensor ranks without the biases number parameters differently.
    int turn = Math.floorMod(parameter.name().hashCode(), replicas.size() * slices.size());
    return parameter.counted() && turn == replicas.rank() * slices.size() + slices.rank();
  }

  /**
   * Reads this rank's part of weights and moments.
   *
   * @return the loader's warnings
   * @throws CheckpointException if the checkpoint is damaged, or holds other tensors
   */
  public List<String> read(Checkpoint checkpoint) {
    List<String> warnings = readWeights(checkpoint);
    readMoments(checkpoint);
    return warnings;
  }

  /** Reads this rank's part of the trained weights alone; as {@link #read}. */
  public List<String> readWeights(Checkpoint checkpoint) {
    try (Shards shards = checkpoint.model();
        TensorScope scope = TensorScope.shared(backend)) {
      shards.requireExactly(ModelTensors.shapes(model.config(), model.adapters()));
      RankTensors tensors = new RankTensors(scope);
      for (Parameter parameter : model.parameters().trained()) {
        read(shards, "", tensors, parameter, parameter.master());
        tensors.freeAllBut(null);
      }
      return shards.warning().stream().toList();
    }
  }

  /**
   * Reads this rank's part of the moments alone.
   *
   * @throws CheckpointException as {@link #read}
   */
  public void readMoments(Checkpoint checkpoint) {
    try (Shards shards = checkpoint.optimizer();
        TensorScope scope = TensorScope.shared(backend)) {
      if (hasNone(checkpoint, shards)) {
        return;
      }
      shards.requireExactly(momentsOf(model.config(), model.adapters()));
      RankTensors tensors = new RankTensors(scope);
      for (AdamW.Moments each : all) {
        each.forEach((prefix, share) -> readShare(shards, prefix, tensors, each, share));
      }
    }
  }

  /**
   * Checks names and shapes for {@link #readMoments}, before memory for moments is allocated.
   *
   * @throws CheckpointException if the checkpoint holds other tensors than this model's moments
   */
  public static void requireMoments(Checkpoint checkpoint, LanguageModel model) {
    try (Shards shards = checkpoint.optimizer()) {
      if (!hasNone(checkpoint, shards)) {
        shards.requireExactly(momentsOf(model.config(), model.adapters()));
      }
    }
  }

  /** An edited model is at step 0 without moments: they stay zero. */
  private static boolean hasNone(Checkpoint checkpoint, Shards shards) {
    return checkpoint.step() == 0 && shards.isEmpty();
  }

  private static Map<String, long[]> momentsOf(ModelConfig model, AdapterConfig adapters) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    ModelTensors.shapes(model, adapters)
        .forEach(
            (name, shape) -> {
              shapes.put(AdamW.Moments.FIRST + name, shape);
              shapes.put(AdamW.Moments.SECOND + name, shape);
            });
    return shapes;
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
}

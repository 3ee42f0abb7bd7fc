package panamoe.train;

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
import panamoe.model.ConfigJson;
import panamoe.model.ModelTensors;
import panamoe.tensor.Tensor;

/** Saves a trainer into a folder and brings it back, bit for bit. Used by the trainer's thread. */
public final class RunCheckpoints {
  private static final int KEPT = 2;

  private final Trainer trainer;
  private final CheckpointStore store;
  private final Map<String, Tensor> weights;
  private final Map<String, Tensor> moments = new LinkedHashMap<>();

  public RunCheckpoints(Trainer trainer, Path directory) {
    this.trainer = trainer;
    this.store = new CheckpointStore(directory, KEPT);
    this.weights = ModelTensors.masters(trainer.model());
    for (AdamW.Moments each : trainer.moments()) {
      moments.putAll(ModelTensors.named(each.parameter(), "first_moment.", each.first()));
      moments.putAll(ModelTensors.named(each.parameter(), "second_moment.", each.second()));
    }
  }

  /**
   * Saves the state after the trainer's last step.
   *
   * @return the checkpoint's directory
   * @throws CheckpointException if it could not be written; the checkpoints before it are intact
   */
  public Path save() {
    TrainerState state = trainer.state();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("step", state.step());
    if (!Double.isNaN(state.runningLoss())) {
      // A string of the exact bits: a resumed run must not differ in the last place.
      json.put("running_loss", Double.toHexString(state.runningLoss()));
    }
    return store.save(
        new CheckpointContents(
            state.step(), configNode(), json, trainer.model().config().experts(), weights, moments));
  }

  /**
   * Restores the latest checkpoint into the trainer.
   *
   * @return warnings of the loader, or empty if there is no checkpoint yet
   * @throws CheckpointException if it is damaged, or was made by another configuration
   */
  public Optional<List<String>> restore() {
    Optional<Checkpoint> latest = store.openLatest();
    if (latest.isEmpty()) {
      return Optional.empty();
    }
    Checkpoint checkpoint = latest.get();
    if (!checkpoint.config().equals(configNode())) {
      throw new CheckpointException(
          checkpoint.directory() + " was trained with another configuration; give the options it was started with");
    }
    List<String> warnings = checkpoint.loadModel(weights, false, false).warnings();
    checkpoint.loadOptimizer(moments);
    ObjectNode state = checkpoint.state();
    double runningLoss =
        state.has("running_loss") ? Double.parseDouble(state.get("running_loss").asText()) : Double.NaN;
    trainer.restore(new TrainerState(state.get("step").asLong(), runningLoss));
    return Optional.of(warnings);
  }

  private ObjectNode configNode() {
    return (ObjectNode) ConfigJson.tree(trainer.config());
  }
}

package panamoe.api;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.FeedForwardConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.ModelTensors;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Layers on disk: checkpoints with one layer. */
final class LayerFiles {
  private static final String PART = "layer";

  private LayerFiles() {}

  /**
   * The configuration of a layer, as files have it.
   *
   * @param hidden M
   */
  record Config(int hidden, FeedForwardConfig feedForward) {
    /** Refuses the configuration of another kind of layer. */
    Config {
      ModelConfig.requireHidden(hidden);
      Require.that(feedForward instanceof MoeConfig, "kind is \"DENSE\", expected \"MOE\"");
    }

    MoeConfig moe() {
      return (MoeConfig) feedForward;
    }
  }

  /** A layer that was found on the disk. */
  record Found(Checkpoint checkpoint, Config config) {
    /** Gives parameters memory, for inference or training, and reads them. */
    void read(ParameterStore store, Backend backend, DType dtype, boolean training) {
      checkpoint.requireHolds(ModelTensors.shapes(store)); // before anything is allocated
      Map<String, LoadTarget> targets;
      if (training) {
        store.materialize(backend, dtype, true, 0);
        targets = ModelTensors.masterDestinations(store);
      } else {
        store.allocate(backend, WeightTypes.of(dtype), parameter -> true, 0);
        targets = ModelTensors.destinations(store, backend);
      }
      checkpoint.loadModel(targets, backend, false, true, part -> {});
      if (training) {
        store.refresh(backend);
      }
    }
  }

  /** Saves a layer and makes it the folder's latest. */
  static void save(Path folder, Config layer, ParameterStore store, Backend backend) {
    Require.that(
        store.ranks().world().size() <= 1,
        "several ranks hold the layer: one rank alone can save it");
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Parameter parameter : store.parameters()) {
      tensors.putAll(ModelTensors.named(parameter, "", parameter.master()));
    }
    ObjectNode config = JsonNodeFactory.instance.objectNode();
    config.set(PART, ConfigJson.tree(layer));
    CheckpointContents contents =
        new CheckpointContents(
            0,
            config,
            JsonNodeFactory.instance.objectNode(),
            List.of(layer.moe().experts()),
            tensors,
            Map.of());
    backend.synchronize();
    store(folder).save(contents);
  }

  /**
   * The latest layer in a folder.
   *
   * @throws CheckpointException if it does not exist or is damaged
   */
  static Found find(Path folder) {
    Checkpoint checkpoint =
        store(folder)
            .openLatest()
            .orElseThrow(() -> new CheckpointException("%s has no saved layer", folder));
    if (!checkpoint.config().has(PART)) {
      throw new CheckpointException("%s is a model, expected a saved layer", folder);
    }
    return new Found(checkpoint, checkpoint.config(PART, Config.class));
  }

  private static CheckpointStore store(Path folder) {
    return new CheckpointStore(
        Argument.notNull("folder", folder).resolve(ModelFolder.CHECKPOINTS), 1);
  }
}

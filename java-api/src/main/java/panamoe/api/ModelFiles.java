package panamoe.api;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.checkpoint.Shards;
import panamoe.checkpoint.StoredTensor;
import panamoe.config.ModelConfig;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.open.AdaptedBase;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.parallel.Ranks;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.train.TrainedTensors;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Trainable models on disk: checkpoints in a run's folder layout. */
final class ModelFiles {
  private static final int KEPT = 2;
  // Prefix of callers' tensors in a checkpoint, which also has AdamW's moments.
  private static final String CALLERS = "caller.";

  private ModelFiles() {}

  /**
   * Saves a checkpoint and makes it the folder's latest. Collective.
   *
   * @param base of the model's adapters; null: it has none
   * @return the checkpoint's own folder
   */
  static Path save(
      Path folder,
      long step,
      LanguageModel model,
      AdaptedBase base,
      TrainedTensors tensors,
      Map<String, Tensor> own) {
    ObjectNode config = JsonNodeFactory.instance.objectNode();
    config.set("model", ConfigJson.tree(model.config()));
    if (base != null) {
      config.set(ModelFolder.ADAPTERS, ConfigJson.tree(model.adapters()));
      config.set(ModelFolder.BASE, ConfigJson.tree(base));
    }
    ObjectNode state = JsonNodeFactory.instance.objectNode().put("step", step);
    CheckpointStore store =
        new CheckpointStore(
            Argument.notNull("folder", folder).resolve(ModelFolder.CHECKPOINTS), KEPT);
    SaveReport report = tensors.save(store, step, config, state, own);
    return report.directory();
  }

  /**
   * The caller's FLOAT32 memory as tensors of a checkpoint.
   *
   * @throws IllegalArgumentException if a name or a segment is wrong
   */
  static Map<String, Tensor> callers(CallersMemory memory, Map<String, MemorySegment> state) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    Argument.notNull("state", state)
        .forEach(
            (name, segment) -> {
              Require.that(
                  name != null && name.matches("[\\w.-]+"),
                  "a state is called %s, expected letters, digits, points, hyphens and underscores",
                  name);
              Argument.notNull(name, segment);
              long count = segment.byteSize() / Float.BYTES;
              if (count == 0 || segment.byteSize() % Float.BYTES != 0) {
                throw new IllegalArgumentException(
                    name + " has " + segment.byteSize() + " bytes, expected one or more FLOAT32");
              }
              tensors.put(CALLERS + name, memory.input(name, segment, count));
            });
    return tensors;
  }

  /** Reads one of {@link #callers} into FLOAT32 memory of its size. */
  static void readCallers(Checkpoint checkpoint, Backend backend, String name, MemorySegment into) {
    try (Shards shards = checkpoint.optimizer();
        TensorScope scope = TensorScope.confined(backend)) {
      StoredTensor stored = shards.tensors().get(CALLERS + name);
      if (stored == null) {
        throw new CheckpointException(checkpoint.directory() + " has no state called " + name);
      }
      Tensor tensor = scope.allocate(DType.FLOAT32, stored.shape());
      shards.read(CALLERS + name, tensor);
      CallersMemory.read(tensor, "into", into);
    }
  }

  /** The folder that several ranks load: all use the checkpoint that rank 0 found. Collective. */
  static ModelFolder open(Path folder, Ranks ranks) {
    byte[] found = null;
    if (ranks.first()) {
      StoredWeights weights = ModelFolder.open(folder).weights();
      Path place = weights instanceof StoredWeights.Released ? folder : weights.directory();
      found = place.toString().getBytes(UTF_8);
    }
    return ModelFolder.open(Path.of(new String(ranks.world().broadcast(found, 0), UTF_8)));
  }

  /**
   * The configuration of a model to train.
   *
   * @throws CheckpointException if its weights are quantized
   */
  static ModelConfig trained(ModelFolder folder) {
    if (folder.weights() instanceof StoredWeights.Released) {
      return ((StoredWeights.Released) folder.weights()).model().trained();
    }
    folder.checkpoint(); // refuses a quantized model
    return folder.config();
  }

  /** The checkpoint of a model, or of its adapters; null for a released model. */
  static Checkpoint checkpoint(ModelFolder folder) {
    if (folder.weights() instanceof StoredWeights.Adapted) {
      return ((StoredWeights.Adapted) folder.weights()).checkpoint();
    }
    return folder.weights() instanceof StoredWeights.Saved
        ? ((StoredWeights.Saved) folder.weights()).checkpoint()
        : null;
  }

  /** Refuses files of another model, before anything is allocated. */
  static void require(ModelFolder folder, ModelConfig config, Backend backend) {
    folder
        .weights()
        .require(config, WeightTypes.of(DType.FLOAT32), Long.MAX_VALUE, backend.onHost());
  }

  /** Reads this rank's part into a materialized model. */
  static void read(ModelFolder folder, LanguageModel model, Backend backend) {
    boolean alone = model.parameters().ranks().world().size() == 1;
    folder
        .weights()
        .load(
            ModelTensors.masterDestinations(model.parameters()), backend, alone, true, part -> {});
    model.parameters().refresh(backend);
  }
}

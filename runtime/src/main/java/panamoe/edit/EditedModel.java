package panamoe.edit;

import java.nio.file.Path;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.SaveReport;
import panamoe.checkpoint.Shards;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** An edited model in memory, in FLOAT32: to be measured, then saved. */
public final class EditedModel implements AutoCloseable {
  private final ModelConfig config;
  private final LanguageModel model;
  private final Map<String, Tensor> tensors;

  private EditedModel(ModelConfig config, LanguageModel model, Map<String, Tensor> tensors) {
    this.config = config;
    this.model = model;
    this.tensors = tensors;
  }

  /**
   * Edits a checkpoint's model. Beside the edited model it takes memory for a few tensors.
   *
   * @param before the checkpoint's model
   * @throws CheckpointException if the checkpoint is damaged, or a weight is NaN or infinite
   * @throws OutOfMemoryError if the edited model does not fit
   */
  public static EditedModel of(
      Edit edit, ModelConfig before, Checkpoint checkpoint, Backend backend) {
    ModelConfig config = edit.config();
    LanguageModel model = new LanguageModel(config.withGates(GateConfig::withoutDropping));
    try (Shards shards = checkpoint.model()) {
      Map<String, long[]> shapes = ModelTensors.shapes(before);
      shards.requireExactly(shapes);
      model.materialize(backend, DType.FLOAT32, false, 0); // every value is then replaced
      Map<String, Tensor> tensors = ModelTensors.masters(model);
      Edit.Source source = source(shards, shapes, backend);
      tensors.forEach((name, tensor) -> tensor.set(edit.tensor(name, source)));
      return new EditedModel(config, model, tensors);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  /** The tensors of a checkpoint's model; one with NaN or infinite values is refused. */
  public static Edit.Source source(Shards shards, ModelConfig model, Backend backend) {
    return source(shards, ModelTensors.shapes(model), backend);
  }

  private static Edit.Source source(Shards shards, Map<String, long[]> shapes, Backend backend) {
    return name -> {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor tensor = scope.allocate(DType.FLOAT32, shapes.get(name));
        shards.read(name, tensor);
        shards.warning().ifPresent(EditedModel::refuse);
        return tensor.toFloats();
      }
    };
  }

  private static void refuse(String notFinite) {
    throw new CheckpointException(notFinite);
  }

  /** The model for inference; it drops no tokens, as generation does. */
  public LanguageModel model() {
    return model;
  }

  /**
   * Saves it at step 0 with no optimizer moments, which a trainer then takes as zero.
   *
   * @param run config of the run whose model it is
   * @param directory of the checkpoints
   * @throws CheckpointException if it could not be written
   */
  public SaveReport save(ObjectNode run, Path directory) {
    ObjectNode state = JsonNodeFactory.instance.objectNode().put("step", 0);
    return new CheckpointStore(directory, 1)
        .save(new CheckpointContents(0, run, state, config.experts(), tensors, Map.of()));
  }

  @Override
  public void close() {
    model.close();
  }
}

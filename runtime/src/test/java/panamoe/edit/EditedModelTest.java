package panamoe.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.Shards;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** What the edited model computes, and what is saved of it. */
class EditedModelTest {
  private static final Noise SILENT = new Noise(0, 1);

  @TempDir private Path folder;
  private final ReferenceBackend backend = new ReferenceBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private Checkpoint saved(ModelConfig config) {
    try (LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, 7);
      ObjectNode empty = JsonNodeFactory.instance.objectNode();
      CheckpointContents contents =
          new CheckpointContents(
              5, empty, empty, config.experts(), ModelTensors.masters(model), Map.of());
      return Checkpoint.open(
          new CheckpointStore(folder.resolve("before"), 1).save(contents).directory());
    }
  }

  private float[] logits(Edit edit, ModelConfig before, Checkpoint checkpoint) {
    try (EditedModel edited = EditedModel.of(edit, before, checkpoint, backend);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, 6).set(1, 7, 3, 3, 10, 0);
      Pass pass = Pass.inference(backend, scope);
      Sequences whole = Sequences.Whole.of(scope, 6, 6);
      Tensor hidden = edited.model().forward(pass, ids, whole, null, false);
      return edited.model().head().logits(pass, hidden).toFloats();
    }
  }

  private void assertComputesTheSame(Edit edit, ModelConfig before) {
    Checkpoint checkpoint = saved(before);
    float[] expected = logits(DroppedLayers.none(before), before, checkpoint);
    assertArrayEquals(expected, logits(edit, before, checkpoint), 1e-5f);
  }

  @Test
  void upcycledWithoutNoiseATop2ModelComputesWhatItDid() {
    ModelConfig dense = TinyModel.of(null, 0, 0, 0);
    assertComputesTheSame(Upcycling.of(dense, List.of(0, 1), 4, 2, SILENT), dense);
  }

  /** Each expert becomes the same number of copies: the scale makes up for the divided softmax. */
  @Test
  void doubledWithoutNoiseATop1ModelComputesWhatItDid() {
    ModelConfig moe = TinyModel.of(GateConfig.dropless(1), 0, 2, 3);
    assertComputesTheSame(ExpertGrowth.of(moe, List.of(4, 6), SILENT), moe);
  }

  @Test
  void aDroppedLayerIsMissed() {
    ModelConfig moe = TinyModel.of(GateConfig.dropless(1), 0, 2, 3);
    Checkpoint checkpoint = saved(moe);
    float[] before = logits(DroppedLayers.none(moe), moe, checkpoint);
    float[] after = logits(DroppedLayers.of(moe, List.of(1)), moe, checkpoint);
    assertFalse(Arrays.equals(before, after));
  }

  @Test
  void itsCheckpointIsAtStep0WithoutMoments() {
    ModelConfig moe = TinyModel.of(GateConfig.dropless(1), 0, 2);
    Checkpoint checkpoint = saved(moe);
    Edit edit = ExpertGrowth.of(moe, List.of(3), new Noise(0.1, 4));
    Path checkpoints = folder.resolve("after");
    try (EditedModel edited = EditedModel.of(edit, moe, checkpoint, backend)) {
      edited.save(JsonNodeFactory.instance.objectNode().put("seed", 3), checkpoints);
    }
    Checkpoint after = Checkpoint.open(checkpoints);
    assertEquals("step-00000000", after.directory().getFileName().toString());
    assertEquals(List.of(0, 3), after.experts());
    assertEquals(3, after.config().get("seed").asInt());
    try (Shards before = checkpoint.model();
        Shards shards = after.model();
        Shards moments = after.optimizer()) {
      assertTrue(moments.isEmpty());
      Edit.Source from = EditedModel.source(before, moe, backend);
      Edit.Source held = EditedModel.source(shards, edit.config(), backend);
      for (String name : ModelTensors.shapes(edit.config()).keySet()) {
        assertArrayEquals(edit.tensor(name, from), held.read(name), name);
      }
    }
  }
}

package panamoe.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.backend.Activation;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.DeepSpeedFolder;
import panamoe.checkpoint.Shards;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.torch.TorchFiles;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.ModelTensors;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.JsonNodeFactory;

/** Checkpoints of Megatron-DeepSpeed in every layout, and those that are refused. */
class MegatronModelTest {
  private static final int TOKENS = 11;

  @TempDir private Path folder;

  private static ModelConfig model(int keyValueHeads, boolean residual, Integer... experts) {
    return new UniformModel(
            TOKENS,
            8,
            8,
            4,
            keyValueHeads,
            6,
            List.of(experts),
            residual,
            GateConfig.deepSpeed(1, 1, 4).withoutDropping(),
            Activation.GELU_TANH,
            NormConfig.Kind.LAYER,
            UniformModel.Positions.LEARNED,
            true,
            0.3)
        .toConfig();
  }

  /** Values that float16 and bfloat16 hold. */
  private static Edit.Source source(ModelConfig model) {
    Map<String, long[]> shapes = ModelTensors.shapes(model);
    return name -> {
      Random random = new Random(name.hashCode());
      float[] values = new float[(int) Tensor.count(shapes.get(name))];
      for (int i = 0; i < values.length; i++) {
        values[i] = (random.nextInt(255) - 127) / 64f;
      }
      return values;
    };
  }

  private static MegatronFolder folder(
      ModelConfig model, StoredType type, int ranks, boolean slicedExperts) {
    return new MegatronFolder(model, source(model), type, ranks, slicedExperts);
  }

  @ParameterizedTest
  @CsvSource({
    "F32, 1, false, 4, true",
    "F16, 2, false, 4, true",
    "F16, 2, true, 2, true",
    "BF16, 1, true, 1, false",
    "F64, 2, true, 4, false",
  })
  void everyLayoutIsReadBitForBit(
      StoredType type, int ranks, boolean sliced, int keyValueHeads, boolean residual) {
    ModelConfig model = model(keyValueHeads, residual, 0, 2, 0, 4);
    MegatronFolder written = folder(model, type, ranks, sliced);
    written.args.put("mlp_type", residual ? "residual" : "standard");
    written.write(folder);
    assertReads(model);
  }

  @Test
  void aDenseModelIsReadAndOneOfEarlierNames() {
    ModelConfig model = model(4, false, 0, 0, 0);
    MegatronFolder written = folder(model, StoredType.F16, 2, false);
    written.state.remove("num_experts");
    Map<String, TorchFiles.Saved> earlier = Map.copyOf(written.tensors);
    written.tensors.clear();
    earlier.forEach(
        (name, tensor) ->
            written.tensors.put(
                name.replace(".encoder.", ".transformer.")
                    .replace(".self_attention.", ".attention."),
                tensor));
    written.write(folder);
    assertReads(model);
  }

  private void assertReads(ModelConfig model) {
    Edit.Source expected = source(model);
    try (MegatronModel read = MegatronModel.open(folder, TOKENS)) {
      assertEquals(model, read.config());
      for (String name : ModelTensors.shapes(model).keySet()) {
        assertArrayEquals(expected.read(name), read.read(name), name);
      }
    }
  }

  @Test
  void itIsStreamedIntoACheckpoint() {
    ModelConfig model = model(2, true, 0, 2);
    folder(model, StoredType.F16, 2, true).write(folder);
    Path checkpoints = folder.resolve("checkpoints");
    try (MegatronModel read = MegatronModel.open(folder, TOKENS)) {
      new StreamedModel(read.config(), read)
          .save(JsonNodeFactory.instance.objectNode().put("seed", 3), checkpoints, 4);
    }
    Checkpoint saved = Checkpoint.open(checkpoints);
    saved.verify();
    try (ReferenceBackend backend = new ReferenceBackend();
        Shards shards = saved.model()) {
      Edit.Source held = EditedModel.source(shards, model, backend);
      for (String name : ModelTensors.shapes(model).keySet()) {
        assertArrayEquals(source(model).read(name), held.read(name), name);
      }
    }
  }

  @Test
  void theFolderIsFoundByItsTag() throws IOException {
    assertTrue(DeepSpeedFolder.of(folder).isEmpty());
    Path tag = Files.createDirectory(folder.resolve("global_step7"));
    folder(model(4, true, 0, 2), StoredType.F16, 1, false).write(tag);
    assertTrue(DeepSpeedFolder.of(folder).isEmpty());
    Files.writeString(folder.resolve("latest"), "global_step7\n");
    assertEquals(tag, DeepSpeedFolder.of(folder).orElseThrow());
    assertEquals(tag, DeepSpeedFolder.of(tag).orElseThrow());
    Path below = Files.createDirectory(folder.resolve("below"));
    Files.writeString(below.resolve("latest"), "../global_step7");
    assertTrue(DeepSpeedFolder.of(below).isEmpty());
  }

  /** A few dictionaries, each many times in the one above it, are 11^5 values. */
  @Test
  void sharedDictionariesDoNotMultiply() {
    Map<String, Object> shared = new TreeMap<>();
    for (int i = 0; i < 11; i++) {
      shared.put("k" + i, null);
    }
    for (int depth = 1; depth < 5; depth++) {
      Map<String, Object> above = new TreeMap<>();
      for (int i = 0; i < 11; i++) {
        above.put("k" + i, shared);
      }
      shared = above;
    }
    Path file = TorchFiles.save(folder.resolve("x.pt"), shared);
    String message =
        assertThrows(CheckpointException.class, () -> MegatronFile.expert(file)).getMessage();
    assertEquals(file + " has more than 100000 values in its dictionaries", message);
  }

  private static Arguments refused(String expected, Consumer<MegatronFolder> change) {
    return Arguments.of(expected, change);
  }

  private static Consumer<MegatronFolder> arg(String name, Object value) {
    return to -> to.args.put(name, value);
  }

  static Stream<Arguments> refusals() {
    String query = "language_model.encoder.layers.0.self_attention.query_key_value.weight";
    String expert =
        "language_model.encoder.layers.1.mlp.deepspeed_moe.experts.deepspeed_experts.1."
            + "dense_h_to_4h.weight";
    return Stream.of(
        refused("args.swiglu is True, expected False", arg("swiglu", true)),
        refused("args.normalization is 'rmsnorm'", arg("normalization", "rmsnorm")),
        refused("args.use_rotary_position", arg("use_rotary_position_embeddings", true)),
        refused("args.mlp_type is 'other'", arg("mlp_type", "other")),
        refused("args.num_layers is missing", arg("num_layers", null)),
        refused("args.num_layers is 99999, expected at most", arg("num_layers", 99_999L)),
        refused("args.hidden_size is 'x', expected a whole number", arg("hidden_size", "x")),
        refused("args.topk is 0, expected", arg("topk", 0L)),
        refused("topK is 9 but there are only 2 experts", arg("topk", 9L)),
        refused("args.num_experts is a list of 3", arg("num_experts", List.of(2L, 2L, 2L))),
        refused("other num_experts than its args", arg("num_experts", List.of(3L))),
        refused("args.padded_vocab_size is 99", arg("padded_vocab_size", 99L)),
        refused(
            "more such files",
            arg("tensor_model_parallel_size", 1L).andThen(arg("make_vocab_size_divisible_by", 8L))),
        refused(
            "mp_rank_02_model_states.pt does not exist",
            arg("tensor_model_parallel_size", 4L)
                .andThen(arg("make_vocab_size_divisible_by", 4L))
                .andThen(arg("padded_vocab_size", 16L))),
        refused(
            "gate.wg.weight of the shape [2, 8], expected [3, 8]",
            to -> {
              to.args.put("num_experts", List.of(3L));
              to.state.put("num_experts", List.of(3L));
            }),
        refused("checkpoint_version", to -> to.state.put("checkpoint_version", 0L)),
        refused("has no list num_experts", to -> to.state.put("num_experts", 2L)),
        refused("has no tensor " + query, to -> to.tensors.remove(query)),
        refused("has 0 tensors layers.1.mlp", to -> to.tensors.remove(expert)),
        refused(
            "which its args do not speak of",
            to -> to.tensors.put("language_model.encoder.x", to.tensors.get(query))),
        refused(
            "of the shape [12, 4], expected [12, 8]",
            to ->
                to.tensors.put(query, new TorchFiles.Saved(StoredType.F32, new float[96], 24, 4))),
        refused(
            "of I64, expected floating",
            to ->
                to.tensors.put(
                    query, new TorchFiles.Saved(StoredType.I64, new float[192], 24, 8))));
  }

  @ParameterizedTest
  @MethodSource("refusals")
  void whatIsNotDescribedIsRefusedByName(String expected, Consumer<MegatronFolder> change) {
    MegatronFolder written = folder(model(4, true, 0, 2), StoredType.F16, 2, false);
    change.accept(written);
    written.write(folder);
    String message =
        assertThrows(CheckpointException.class, () -> MegatronModel.open(folder, TOKENS).close())
            .getMessage();
    assertTrue(message.contains(expected), message);
    assertTrue(message.contains("_model_states.pt"), message);
    assertEquals(1, message.lines().count(), message);
  }

  @Test
  void anotherTokenizerIsRefused() {
    folder(model(4, true, 0, 2), StoredType.F16, 1, false).write(folder);
    String message =
        assertThrows(CheckpointException.class, () -> MegatronModel.open(folder, 257)).getMessage();
    assertTrue(message.contains("give the model's tokenizer.json by --tokenizer"), message);
  }
}

package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufSamples;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Models in GGUF files ({@link GgufKeys}, {@link GgufRecipes}); {@code panamoe conformance}
 * compares their logits.
 */
class GgufModelTest {
  @TempDir private Path folder;

  static Stream<GgufSamples.Case> recorded() throws IOException {
    return GgufSamples.all();
  }

  @ParameterizedTest
  @MethodSource("recorded")
  void onlySoundModelsAreAccepted(GgufSamples.Case file) {
    if (file.accepted()) {
      ModelConfig config = open(file.path());
      assertEquals(1, config.layers());
      assertEquals(48, config.vocabulary());
      assertEquals(2, ((MoeConfig) config.blocks().getFirst().feedForward()).experts());
    } else {
      String message =
          assertThrows(CheckpointException.class, () -> open(file.path())).getMessage();
      assertEquals(1, message.lines().count(), message);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "missing_architecture | has no key general.architecture",
        "unknown_architecture | general.architecture is nonesuch, expected one of deepseek2, dots1",
        "missing_key_head_count | has no key llama.attention.head_count",
        "missing_tensor_ffn_up_exps | missing blk.0.ffn_up_exps.weight",
        "missing_tensor_token_embd | has no matrix token_embd.weight",
        "key_type_float | key llama.embedding_length is of type FLOAT32, expected a whole number",
        "block_count_huge | key llama.block_count is 2147483647, expected 1 to 1024",
        "block_count_too_large | llama.block_count is 2, but the file holds fewer layers",
        "experts_used_more_than_experts | key llama.expert_used_count is 3, expected 1 to 2",
        "experts_used_zero | key llama.expert_used_count is 0, expected 1 to 2",
        "head_count_kv_no_divisor | 3 key/value heads do not divide",
        "wrong_shape | blk.0.attn_q.weight make a matrix [16, 64], expected [32, 32]",
        "wrong_expert_count | llama.expert_count is 3, but blk.0.ffn_gate_inp.weight has 2 rows"
      })
  void messagesSayWhatIsWrong(String name, String part) {
    Path path = GgufSamples.path(name + ".gguf");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains(part), message);
    assertFalse(message.contains("in this file the key is"), message); // of config.json
  }

  @Test
  void longRopeHasDivisorsForBothLengths() throws IOException {
    Path path = folder.resolve("half.gguf");
    MemorySegment divisors = Arena.ofAuto().allocateFrom(ValueLayout.JAVA_FLOAT, 1, 2);
    new GgufWriter()
        .put("general.architecture", "phi3")
        .add("rope_factors_long.weight", DType.FLOAT32, new long[] {2}, () -> List.of(divisors))
        .write(path, _ -> {});
    try (GgufFile file = GgufFile.open(path)) {
      String message =
          assertThrows(CheckpointException.class, () -> RopeFactors.of(file, "phi3")).getMessage();
      assertTrue(
          message.endsWith(
              "of rope_factors_short.weight and rope_factors_long.weight only one is there,"
                  + " expected both or none"),
          message);
    }
  }

  @Test
  void unknownKeysOfTheArchitectureAreRefused() throws IOException {
    Path path = changed("llama.rope.freq_base", "llama.rope.freq_bias");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains("has llama.rope.freq_bias, which is not known here"), message);
  }

  @Test
  void unknownTensorsAreRefused() throws IOException {
    Path path = changed("blk.0.attn_output.weight", "blk.0.attn_outpux.weight");
    String message = assertThrows(CheckpointException.class, () -> open(path)).getMessage();
    assertTrue(message.contains("missing blk.0.attn_output.weight"), message);
    assertTrue(message.contains("unexpected blk.0.attn_outpux.weight"), message);
  }

  /** The oldest files of Mixtral have a tensor for each expert. */
  @Test
  void expertsThatAreNotStackedAreTheSame() {
    try (GgufFile file = GgufFile.open(GgufSamples.path("ok_plain.gguf"))) {
      ReleasedModel model = ReleasedModel.of(file);
      Map<String, RowSource> stacked = model.sources(file);
      TensorFiles each = eachByItself(file);
      Map<String, RowSource> found =
          GgufRecipes.of("llama", model.config())
              .of(model.config(), new Lookup.Files(each, each.tensors(), QuantizedTensors.NONE));
      assertEquals(stacked.keySet(), found.keySet());
      for (String name : stacked.keySet()) {
        assertArrayEquals(bytes(stacked.get(name)), bytes(found.get(name)), name);
      }
    }
  }

  /** NVFP4 has them: of a matrix, or of each expert's. */
  @Test
  void factorsBesideMatricesScaleThem() throws IOException {
    try (GgufFile file = GgufFile.open(exported())) {
      ReleasedModel model = ReleasedModel.of(file);
      StoredType nvfp4 = StoredType.valueOf("NVFP4");
      Map<String, RowSource> plain = model.sources(withFactors(file, nvfp4, Map.of()));
      Map<String, float[]> factors =
          Map.of(
              "blk.0.attn_output.scale", new float[] {3},
              "blk.0.attn_output.input_scale", new float[] {9},
              "blk.0.ffn_up_exps.scale", new float[] {5, 7, 9, 11});
      Map<String, RowSource> scaled = model.sources(withFactors(file, nvfp4, factors));
      for (String name : plain.keySet()) {
        float[] expected = floats(plain.get(name));
        boolean ups = name.matches("layers.0.moe.experts...up.weight");
        int expert = ups ? name.charAt("layers.0.moe.experts.".length()) - '0' : 0;
        for (int i = 0; i < expected.length; i++) {
          expected[i] *= name.equals("layers.0.attention.output.weight") ? 3 : 1;
          expected[i] *= ups && i >= expected.length / 2 ? 5 + 2 * expert : 1;
        }
        assertArrayEquals(expected, floats(scaled.get(name)), name);
      }
      TensorFiles other = withFactors(file, StoredType.F32, factors);
      String message =
          assertThrows(CheckpointException.class, () -> model.sources(other)).getMessage();
      assertTrue(message.contains("unexpected blk.0.attn_output.scale"), message);
    }
  }

  private Path exported() throws IOException {
    Path released = Path.of("..", "lab", "golden", "hf", "mixtral_b_bf16_sharded");
    try (Stream<Path> all = Files.list(released)) {
      for (Path file : all.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    String keys = Files.readString(released.resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        keys.replaceAll("\"sliding_window\": \\d+", "\"sliding_window\": null"));
    ReleasedModel model = ReleasedModel.of(HuggingFaceFolder.of(folder).orElseThrow());
    Path path = folder.resolve("exported.gguf");
    try (TensorFiles files = model.open()) {
      GgufWriter writer = new GgufWriter();
      ExportedModel.of("it", model.config(), model.sources(files), Optional.empty(), null)
          .addTo(writer, null);
      writer.write(path, _ -> {});
    }
    return path;
  }

  /** With two tensors of that type, and small tensors beside them. */
  private static TensorFiles withFactors(
      GgufFile file, StoredType type, Map<String, float[]> factors) {
    Map<String, StoredTensor> tensors = new LinkedHashMap<>(file.tensors());
    for (String name : new String[] {"blk.0.attn_output.weight", "blk.0.ffn_up_exps.weight"}) {
      long[] shape = tensors.get(name).shape();
      long bytes = Tensor.count(shape) / type.elements() * type.bytes();
      tensors.put(name, new StoredTensor(name, type, shape, 0, bytes));
    }
    factors.forEach(
        (name, values) -> {
          long[] shape = {values.length};
          tensors.put(name, new StoredTensor(name, StoredType.F32, shape, 0, 4 * shape[0]));
        });
    return new OtherFiles(
        file,
        tensors,
        (tensor, offset, into) -> {
          float[] values = factors.get(tensor.name());
          if (values != null) {
            into.copyFrom(MemorySegment.ofArray(values).asSlice(offset, into.byteSize()));
          } else if (tensor.type() == type) {
            for (long i = 0; i < into.byteSize(); i++) {
              into.set(ValueLayout.JAVA_BYTE, i, (byte) ((offset + i) * 37));
            }
          } else {
            file.read(tensor, offset, into);
          }
        });
  }

  private static float[] floats(RowSource rows) {
    float[] floats = new float[(int) (rows.rows() * rows.columns())];
    MemorySegment wide = Arena.ofAuto().allocate(ValueLayout.JAVA_FLOAT, floats.length);
    StoredType.of(rows.dtype()).decode(MemorySegment.ofArray(bytes(rows)), wide);
    return wide.toArray(ValueLayout.JAVA_FLOAT);
  }

  private static byte[] bytes(RowSource rows) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment all = arena.allocate(rows.dtype().bytes() * rows.rows() * rows.columns());
      rows.read(0, rows.rows(), 0, rows.columns(), all);
      return all.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private static TensorFiles eachByItself(GgufFile file) {
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    Map<String, StoredTensor> stacks = new HashMap<>();
    for (StoredTensor tensor : file.tensors().values()) {
      long[] shape = tensor.shape();
      if (!tensor.name().endsWith("_exps.weight")) {
        tensors.put(tensor.name(), tensor);
        continue;
      }
      long bytes = tensor.bytes() / shape[0];
      for (int expert = 0; expert < shape[0]; expert++) {
        String name = tensor.name().replace("_exps", "." + expert);
        long begin = tensor.begin() + expert * bytes;
        long[] matrix = {shape[1], shape[2]};
        tensors.put(name, new StoredTensor(name, tensor.type(), matrix, begin, begin + bytes));
        stacks.put(name, tensor);
      }
    }
    return new OtherFiles(
        file,
        tensors,
        (tensor, offset, into) -> {
          StoredTensor stack = stacks.get(tensor.name());
          if (stack == null) {
            file.read(tensor, offset, into);
          } else {
            file.read(stack, tensors.get(tensor.name()).begin() - stack.begin() + offset, into);
          }
        });
  }

  /** Other tensors of a file. */
  private record OtherFiles(GgufFile of, Map<String, StoredTensor> tensors, Reader reader)
      implements TensorFiles {
    private interface Reader {
      void read(StoredTensor tensor, long offset, MemorySegment into);
    }

    @Override
    public Path file(StoredTensor tensor) {
      return of.metadata().path();
    }

    @Override
    public void read(StoredTensor tensor, long offset, MemorySegment into) {
      reader.read(tensor, offset, into);
    }

    @Override
    public void close() {}
  }

  /** A valid file with one string replaced by another of equal length. */
  private Path changed(String from, String to) throws IOException {
    byte[] bytes = Files.readAllBytes(GgufSamples.path("ok_plain.gguf"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1).replace(from, to);
    return Files.write(folder.resolve("changed.gguf"), text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** The configuration of a model whose tensors fit it. */
  private static ModelConfig open(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      ReleasedModel model = ReleasedModel.of(file);
      model.sources(file);
      return model.config();
    }
  }
}

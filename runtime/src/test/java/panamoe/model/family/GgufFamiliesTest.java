package panamoe.model.family;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.NearlyEqual;
import panamoe.io.ConfigJson;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** GGUF files of Gemma 4, Llama 4 and Phi-3.5-MoE; LlamaRunTest compares their logits. */
class GgufFamiliesTest {
  private static final Path RECORDED = Path.of("..", "lab", "golden", "hf");

  @TempDir private Path folder;

  /** A recorded model with other keys. */
  private ReleasedModel model(String name, String changes) throws IOException {
    Path copy = Files.createDirectories(folder.resolve("model"));
    Path weights = copy.resolve("model.safetensors");
    if (!Files.exists(weights)) {
      Files.copy(RECORDED.resolve(name).resolve("model.safetensors"), weights);
    }
    String text = Files.readString(RECORDED.resolve(name).resolve("config.json"));
    ObjectNode keys = ConfigJson.parse(text, ObjectNode.class, "config.json");
    keys.setAll((ObjectNode) JsonMapper.shared().readTree(changes.replace('\'', '"')));
    Files.writeString(copy.resolve("config.json"), keys.toString());
    return ReleasedModel.of(HuggingFaceFolder.of(copy).orElseThrow());
  }

  /** As {@code export} writes it, with the metadata changed. */
  private Path written(ReleasedModel model, Consumer<GgufWriter> change) throws IOException {
    Path file = folder.resolve("model.gguf");
    try (TensorFiles files = model.open()) {
      GgufWriter writer = new GgufWriter();
      ExportedModel.of("it", model.config(), model.sources(files), Optional.empty(), null)
          .addTo(writer, null);
      change.accept(writer);
      Files.deleteIfExists(file);
      writer.write(file, _ -> {});
    }
    return file;
  }

  private static void assertSame(ReleasedModel model, Path file) {
    try (TensorFiles files = model.open();
        GgufFile gguf = GgufFile.open(file)) {
      ReleasedModel read = ReleasedModel.of(gguf);
      assertEquals(model.type(), read.type());
      assertEquals(List.of(), NearlyEqual.differences(model.config(), read.config()));
      Map<String, RowSource> found = read.sources(gguf);
      model
          .sources(files)
          .forEach((name, rows) -> assertArrayEquals(bytes(rows), bytes(found.get(name)), name));
    }
  }

  private static byte[] bytes(RowSource rows) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment all = arena.allocate(rows.dtype().bytes() * rows.rows() * rows.columns());
      rows.read(0, rows.rows(), 0, rows.columns(), all);
      return all.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  private void refused(String expected, ReleasedModel model, Consumer<GgufWriter> change) {
    String message =
        assertThrows(
                CheckpointException.class,
                () -> {
                  try (GgufFile file = GgufFile.open(written(model, change))) {
                    ReleasedModel.of(file).sources(file);
                  }
                })
            .getMessage();
    assertEquals(1, message.lines().count(), message);
    assertTrue(message.contains(expected), message);
  }

  @Test
  void gemma4HasKeysByKindOfLayer() throws IOException {
    ReleasedModel model = model("gemma4_c_moe", "{}");
    assertSame(model, written(model, _ -> {}));
    String heads = "gemma4.attention.head_count_kv";
    assertSame(model, written(model, file -> file.put(heads, new int[] {2, 2, 1})));
    String wrong = "key " + heads + " is not 3 whole numbers from 1, below 2^31";
    refused(wrong, model, file -> file.put(heads, new int[] {2, 2}));
    refused(wrong, model, file -> file.put(heads, new int[] {2, 0, 1}));
    refused(
        heads + " is another in layer 1 than before it in its kind",
        model,
        file -> file.put(heads, new int[] {2, 1, 1}));
    refused("the tensors do not fit the configuration", model, file -> file.put(heads, 2));
    refused(
        "key gemma4.attention.sliding_window_pattern has 1 truth values, expected 3",
        model,
        file -> file.put("gemma4.attention.sliding_window_pattern", new boolean[] {true}));
    refused(
        "gemma4.attention.shared_kv_layers is 1, expected 0",
        model,
        file -> file.put("gemma4.attention.shared_kv_layers", 1));
  }

  /** Of 8 pairs, the part that rotates. */
  @ParameterizedTest
  @CsvSource({"0.25, ", "0.625, ", "1.0, ", "0.05, expected ones and then numbers from 1e30 on"})
  void gemma4HasDivisorsForThePairsThatRotate(String part, String refusal) throws IOException {
    ReleasedModel model =
        model(
            "gemma4_c_moe",
            "{'rope_parameters': {'full_attention': {'rope_type': 'proportional',"
                + " 'partial_rotary_factor': %s, 'rope_theta': 1e6}}}".formatted(part));
    if (refusal == null) {
      assertSame(model, written(model, _ -> {}));
    } else {
      refused(refusal, model, _ -> {});
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{} | llama4.attention.sliding_window is 5, expected 8192",
        "{'attention_chunk_size': 8192, 'use_qk_norm': true} | another blocks[3].attention.temperature.positions",
        "{'attention_chunk_size': 8192, 'floor_scale': 8192} | another blocks[0].attention.queryKeyNorm"
      })
  void llamaCppHasOneLlama4(String changes, String expected) throws IOException {
    refused(expected, model("llama4_b", changes), _ -> {});
  }

  @Test
  void llama4HasTheKeysOfScout() throws IOException {
    String scout =
        "{'attention_chunk_size': 8192, 'floor_scale': 8192, 'use_qk_norm': true,"
            + " 'interleave_moe_layer_step': 2}";
    ReleasedModel model = model("llama4_b", scout);
    assertSame(model, written(model, _ -> {}));
    refused(
        "llama4.attention.sliding_window is 4096, expected 8192",
        model,
        file -> file.put("llama4.attention.sliding_window", 4096));
    refused(
        "missing blk.2.ffn_gate_inp.weight",
        model,
        file -> file.put("llama4.interleave_moe_layer_step", 1));
  }

  /** Files of llama.cpp's converter are read as the publisher's model; none are written. */
  @Test
  void phiMoeIsReadAlone() throws IOException {
    ReleasedModel model =
        model("phimoe_b", "{'router_jitter_noise': 0.01, 'sliding_window': null}");
    refused("SparseMixer: it would compute another model", model, _ -> {});
    Path file = folder.resolve("phimoe.gguf");
    try (TensorFiles files = model.open()) {
      Map<String, RowTensor> tensors =
          GgufRecipes.of("phimoe", model.config())
              .tensors(model.config(), model.sources(files), false);
      GgufWriter writer = new GgufWriter();
      MetadataKeys.put(new PhiMoe(), model.config(), tensors, writer);
      tensors.forEach((name, tensor) -> writer.add(name, MetadataKeys.encoded(name, tensor, null)));
      writer.write(file, _ -> {});
    }
    assertSame(model, file);
  }
}

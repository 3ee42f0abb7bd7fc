package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.CommandRun;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.family.Family;
import panamoe.model.family.Keys;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Latent attention whose matrices for keys and values are in blocks. */
class LatentBlocksTest {
  private static final Path RECORDED = Path.of("../lab/golden/hf/deepseek_v3_a");

  @TempDir private Path folder;

  private final Backend cpu = Backends.open("cpu", 2);

  @AfterEach
  void close() {
    cpu.close();
  }

  /** A model of the recorded family with rows of whole blocks, in {@code run} and {@code gguf}. */
  @BeforeEach
  void save() {
    JsonMapper json = JsonMapper.shared();
    ObjectNode keys = (ObjectNode) json.readTree(RECORDED.resolve("config.json").toFile());
    keys.put("qk_nope_head_dim", 32)
        .put("qk_head_dim", 40)
        .put("v_head_dim", 32)
        .put("kv_lora_rank", 64)
        .put("q_lora_rank", 32)
        .put("moe_intermediate_size", 64)
        .put("vocab_size", new ByteTokenizer().vocabularySize());
    ModelConfig config = Family.named("deepseek_v3").orElseThrow().model(new Keys(RECORDED, keys));
    try (LanguageModel drawn = new LanguageModel(config)) {
      drawn.materialize(cpu, DType.FLOAT32, false, 5);
      drawn.parameters().parameters().stream()
          .filter(parameter -> parameter.role() == Parameter.Role.OPERAND)
          .forEach(LatentBlocksTest::enlarge);
      JsonNodeFactory factory = JsonNodeFactory.instance;
      new CheckpointStore(folder.resolve("run"), 1)
          .save(
              new CheckpointContents(
                  1,
                  factory.objectNode().set("model", ConfigJson.tree(config)),
                  factory.objectNode(),
                  config.experts(),
                  ModelTensors.masters(drawn),
                  Map.of()));
    }
  }

  /** So that attention is not nearly uniform. */
  private static void enlarge(Parameter parameter) {
    for (long i = 0; i < parameter.count(); i++) {
      parameter.master().setFloat(i, 4 * parameter.master().getFloat(i));
    }
  }

  private Path export(Path model, String type) {
    Path file = folder.resolve(type + ".gguf");
    String line = "export " + model + " --without-tokenizer --to gguf --dtype " + type;
    CommandRun run = CommandRun.of((line + " --out " + file).split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return file;
  }

  private float[] logits(Backend on, ModelFolder model, WeightTypes types, DType held) {
    List<String> warnings = new ArrayList<>();
    try (LanguageModel loaded = model.load(on, InferenceSettings.of(types), warnings)) {
      long heads =
          loaded.parameters().parameters().stream()
              .filter(parameter -> parameter.name().matches(".*\\.(key|value)_up\\.weight"))
              .peek(parameter -> assertEquals(held, parameter.value().dtype(), parameter::name))
              .count();
      assertEquals(2 * 3, heads);
      assertEquals(List.of(), warnings);
      return ModelRunner.nextLogits(on, loaded, 7, 1, 200, 31, 5);
    }
  }

  @ParameterizedTest
  @CsvSource({"run, Q8_0", "run, Q4_0", "gguf, Q8_0", "gguf, Q4_0"})
  void matricesOfHeadsStayInBlocks(String source, DType blocks) {
    boolean rounded = source.equals("run");
    Path path = folder.resolve("run");
    String type = blocks == DType.Q8_0 ? "q8_0" : "q4_0";
    ModelFolder model = ModelFolder.open(rounded ? path : export(path, type));
    WeightTypes types =
        rounded ? new WeightTypes(DType.FLOAT32, blocks) : model.typesAsStored(DType.FLOAT32);
    float[] found = logits(cpu, model, types, blocks);
    try (Backend reference = new ReferenceBackend()) {
      near(logits(reference, model, types, blocks), found, 0.02);
    }
    float[] decoded = logits(cpu, model, WeightTypes.of(DType.FLOAT32), DType.FLOAT32);
    assertFalse(Arrays.equals(decoded, found), "rows are rounded");
    if (!rounded) { // the file has the numbers of the blocks
      near(decoded, found, 0.1);
      assertArrayEquals(decoded, logits(cpu, model, types.withExact(true), blocks));
    }
  }

  private static void near(float[] expected, float[] found, double part) {
    double largest = 0;
    double apart = 0;
    for (int i = 0; i < found.length; i++) {
      largest = Math.max(largest, Math.abs(expected[i]));
      apart = Math.max(apart, Math.abs(expected[i] - found[i]));
    }
    assertTrue(apart < part * largest, apart + " of " + largest);
  }

  /** Heads' matrices are multiplied like experts', but are not calibrated. */
  @Test
  void expertsAreQuantized() throws IOException {
    Path text =
        Files.writeString(folder.resolve("text"), "one and two, three and four ".repeat(900));
    Path out = folder.resolve("quantized");
    String line =
        "quantize " + folder.resolve("run") + " --to int8 --text " + text + " --out " + out;
    CommandRun run = CommandRun.of(line.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("\nmatrices: "), run.out());
    ModelFolder model = ModelFolder.open(out);
    WeightTypes types = model.typesAsStored(DType.FLOAT32);
    assertTrue(types.quantized());
    logits(cpu, model, types, DType.FLOAT32);
  }

  /** Keys of 16 elements: the file would have blocks over the ends of rows. */
  @Test
  void shorterRowsAreExportedWithoutBlocks() {
    ModelFolder model = ModelFolder.open(export(RECORDED, "q8_0"));
    try (TensorFiles files = model.weights().open()) {
      assertEquals(StoredType.BF16, files.tensors().get("blk.0.attn_k_b.weight").type());
    }
    assertFalse(model.typesAsStored(DType.FLOAT32).stored().isEmpty());
    try (LanguageModel loaded = model.load(cpu, DType.FLOAT32)) {
      ModelRunner.nextLogits(cpu, loaded, 7, 1);
    }
  }
}

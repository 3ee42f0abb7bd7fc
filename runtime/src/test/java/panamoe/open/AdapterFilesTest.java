package panamoe.open;

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
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceWriter;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.SafetensorsReader;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.checkpoint.rows.LowRankRows;
import panamoe.config.LatentAttentionConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.model.LanguageModel;
import panamoe.model.family.AdapterFiles;
import panamoe.model.family.ExportedModel;
import panamoe.param.Parameter;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/** AdapterFiles, PeftAdapter, GgufAdapter and LowRankRows, on recorded models. */
class AdapterFilesTest {
  private static final Path MODELS = Path.of("..", "lab", "golden", "hf");
  private static final Path RECORDED = Path.of("src", "test", "resources", "golden", "adapters");
  private static final String CONFIG = "adapter_config.json";
  private static final String WEIGHTS = "adapter_model.safetensors";

  @TempDir private Path folder;

  private static ModelFolder model(String name) {
    return ModelFolder.open(MODELS.resolve(name));
  }

  private static AdapterFiles files(ModelFolder model) {
    return model.exported(Map.of()).adapters();
  }

  /** Writes a model in float32. */
  private static Path write(ModelFolder model, Map<String, LowRank> adapter, Path to)
      throws IOException {
    try (TensorFiles files = model.weights().open()) {
      Map<String, RowSource> rows = model.weights().rows(files, model.config());
      adapter.forEach((weight, low) -> rows.put(weight, LowRankRows.of(rows.get(weight), low)));
      ExportedModel exported = model.exported(rows);
      Files.createDirectory(to);
      HuggingFaceWriter.write(
          to, ExportedModel.encoded(exported.tensors(), StoredType.F32), _ -> {});
      Files.writeString(
          to.resolve("config.json"), exported.config(StoredType.F32).toPrettyString());
    }
    return to;
  }

  /**
   * The logits of torch: of a linear module's adapter, of stacks of experts, of a router, of
   * experts by their own names, with ranks and alphas by pattern, and with one half of a SwiGLU.
   */
  @ParameterizedTest
  @CsvSource({"qwen3_c, dense", "qwen3_moe_b_bf16, stacked", "qwen3_moe_b_bf16, experts"})
  void logitsAreTorchs(String name, String recorded) throws IOException {
    Path wide = write(model(name), Map.of(), folder.resolve("wide"));
    ModelFolder model = ModelFolder.open(wide);
    Map<String, LowRank> adapter = model.adapter(RECORDED.resolve(recorded));
    Path merged = write(model, adapter, folder.resolve("merged"));
    Path expected = RECORDED.resolve(recorded).resolve("expected.safetensors");
    try (SafetensorsReader file = SafetensorsReader.open(expected);
        Backend backend = new ReferenceBackend();
        LanguageModel changed = ModelFolder.open(merged).load(backend, DType.FLOAT32);
        LanguageModel plain = model.load(backend, DType.FLOAT32)) {
      float[] theirs = file.floats("logits");
      int[] ids = Arrays.stream(file.longs("ids")).mapToInt(id -> (int) id).toArray();
      for (int i = 1; i <= ids.length; i++) {
        int[] tokens = Arrays.copyOf(ids, i);
        float[] ours = ModelRunner.nextLogits(backend, changed, tokens);
        float[] own = Arrays.copyOfRange(theirs, (i - 1) * ours.length, i * ours.length);
        assertArrayEquals(own, ours, 1e-5f * largest(own));
        assertTrue(distance(own, ModelRunner.nextLogits(backend, plain, tokens)) > 0.1);
      }
    }
  }

  private static float largest(float... values) {
    return distance(values, new float[values.length]);
  }

  private static float distance(float[] one, float[] other) {
    float most = 0;
    for (int i = 0; i < one.length; i++) {
      most = Math.max(most, Math.abs(one[i] - other[i]));
    }
    return most;
  }

  static List<String> families() throws IOException {
    try (Stream<Path> folders = Files.list(MODELS)) {
      return folders
          .map(path -> path.getFileName().toString())
          .filter(name -> !name.startsWith("switch"))
          .sorted()
          .toList();
    }
  }

  /** Of each matrix; ranks differ, so that parts of a fused matrix are told apart. */
  private static Map<String, LowRank> everywhere(ModelFolder model) {
    Random random = new Random(7);
    Map<String, LowRank> adapters = new LinkedHashMap<>();
    try (LanguageModel whole = new LanguageModel(model.config())) {
      for (Parameter each : whole.parameters().parameters()) {
        long[] shape = each.matrixShape();
        boolean matrix = each.role() == Parameter.Role.OPERAND && shape.length == 2;
        boolean looked = each.name().startsWith("embedding.");
        for (int i = 0; matrix && !looked && i < each.matrices(); i++) {
          int rank = 2 + each.name().length() % 2;
          float[] a = floats(random, rank * shape[1]);
          float[] b = floats(random, rank * shape[0]);
          adapters.put(each.tensorName(i), new LowRank(rank, a, b, 1.5));
        }
      }
    }
    return adapters;
  }

  private static float[] floats(Random random, long count) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static void assertSameChange(Map<String, LowRank> one, Map<String, LowRank> other) {
    assertEquals(one.keySet(), other.keySet());
    one.forEach(
        (name, low) -> assertArrayEquals(change(low), change(other.get(name)), 1e-4f, name));
  }

  private static float[] change(LowRank low) {
    float[] change = new float[low.rows() * low.columns()];
    for (int n = 0; n < low.rows(); n++) {
      for (int k = 0; k < low.columns(); k++) {
        double sum = 0;
        for (int r = 0; r < low.rank(); r++) {
          sum += (double) low.b()[n * low.rank() + r] * low.a()[r * low.columns() + k];
        }
        change[n * low.columns() + k] = (float) (low.scale() * sum);
      }
    }
    return change;
  }

  /** Fused projections, halves of a SwiGLU, interleaved rows, transposed stacks, routers. */
  @ParameterizedTest
  @MethodSource("families")
  void everyFamilysAdaptersComeBack(String name) throws IOException {
    ModelFolder model = model(name);
    Map<String, LowRank> adapters = everywhere(model);
    AdapterFiles files = files(model);
    files.writePeft(folder, adapters, name);
    assertSameChange(adapters, model.adapter(folder));
    Path gguf = folder.resolve("adapter.gguf");
    String ignored =
        model.config().blocks().getFirst().attention() instanceof LatentAttentionConfig
            ? ".*\\.attention\\.(query|query_down|key_value_down)\\.weight|head\\.weight"
            : name.startsWith("gemma4")
                ? ".*\\.experts\\.\\d+\\.down\\.weight"
                : ".*\\.moe\\.shared\\.gate\\.weight";
    adapters.keySet().removeIf(weight -> weight.matches(ignored)); // by llama.cpp
    try {
      files.writeGguf(gguf, adapters);
    } catch (CheckpointException e) {
      assertTrue(e.getMessage().startsWith("GGUF files of "), e.getMessage());
      return;
    }
    assertSameChange(adapters, model.adapter(gguf));
  }

  /** PEFT's names: the first parameter of a module is wrapped by the second. */
  @Test
  void writesTheRecordedAdapterAgain() throws IOException {
    ModelFolder model = model("qwen3_moe_b_bf16");
    Map<String, LowRank> adapter = model.adapter(RECORDED.resolve("stacked"));
    files(model).writePeft(folder, adapter, "qwen");
    try (SafetensorsReader theirs =
            SafetensorsReader.open(RECORDED.resolve("stacked").resolve(WEIGHTS));
        SafetensorsReader ours = SafetensorsReader.open(folder.resolve(WEIGHTS))) {
      assertEquals(
          theirs.tensors().stream().map(it -> it.name()).sorted().toList(),
          ours.tensors().stream().map(it -> it.name()).sorted().toList());
      theirs
          .tensors()
          .forEach(
              it -> assertArrayEquals(theirs.floats(it.name()), ours.floats(it.name()), it.name()));
    }
    String config = Files.readString(folder.resolve(CONFIG)).replaceAll("\\s+", " ");
    assertTrue(config.contains("\"target_modules\" : [ \"self_attn.q_proj\" ]"), config);
    assertTrue(
        config.contains(
            "\"target_parameters\" : [ \"mlp.gate.weight\", \"mlp.experts.gate_up_proj\","
                + " \"mlp.experts.down_proj\" ]"),
        config);
  }

  @Test
  void stacksOfHeadsHaveNoPlace() {
    Map<String, LowRank> heads =
        Map.of("layers.0.attention.key_up.weight", new LowRank(1, new float[4], new float[4], 1));
    AdapterFiles files = files(model("deepseek_v3_a"));
    String message =
        assertThrows(CheckpointException.class, () -> files.writePeft(folder, heads, null))
            .getMessage();
    assertTrue(message.contains("layers.0.attention.key_up.weight has no place"), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deepseek_v3_a | layers.0.attention.query_down.weight | add an adapter of blk.0.attn_q_a.weight in deepseek2",
        "gemma4_c_moe | layers.0.moe.experts.1.down.weight | add an adapter of blk.0.ffn_down_exps.weight in gemma4",
        "qwen2_moe_b_dense_mix | layers.0.moe.shared.gate.weight | the adapter of layers.0.moe.shared.gate.weight has no place",
      })
  void whatLlamaCppIgnoresIsRefused(String name, String weight, String expected) {
    ModelFolder model = model(name);
    Map<String, LowRank> one = new LinkedHashMap<>(everywhere(model));
    one.keySet().retainAll(List.of(weight));
    assertEquals(1, one.size());
    Path file = folder.resolve("a.gguf");
    String message =
        assertThrows(CheckpointException.class, () -> files(model).writeGguf(file, one))
            .getMessage();
    assertTrue(message.contains(expected), message);
    assertFalse(Files.exists(file));
  }

  private Path copied(String recorded) throws IOException {
    for (String file : List.of(CONFIG, WEIGHTS)) {
      Files.copy(RECORDED.resolve(recorded).resolve(file), folder.resolve(file));
    }
    return folder;
  }

  private String refusal(String model, Path adapter) {
    String message =
        assertThrows(CheckpointException.class, () -> model(model).adapter(adapter)).getMessage();
    assertTrue(message.startsWith(adapter.toString()), message);
    return message;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"peft_type\": \"LORA\" | \"peft_type\": \"LOHA\" | peft_type is \"LOHA\", which is not supported",
        "\"bias\": \"none\" | \"bias\": \"all\" | bias is \"all\", which is not supported",
        "\"bias\": \"none\" | \"use_dora\": true | use_dora is true, which is not supported",
        "\"bias\": \"none\" | \"modules_to_save\": [\"embed_tokens\"] | modules_to_save is [\"embed_tokens\"]",
        "\"bias\": \"none\" | \"init_lora_weights\": \"pissa\" | init_lora_weights is \"pissa\"",
        "\"r\": 2 | \"r\": 4 | their rank is 4 in adapter_config.json",
        "\"r\": 2 | \"r\": \"2\" | r is \"2\", which is no whole number from 1",
        "\"lora_alpha\": 3 | \"lora_alpha\": null | lora_alpha is null, which is no number",
        "\"o_proj\": 5 | \"(\": 5 | has a pattern that cannot be read",
      })
  void configurationsWithMoreAreRefused(String was, String is, String expected) throws IOException {
    Path config = copied("dense").resolve(CONFIG);
    Files.writeString(config, Files.readString(config).replace(was, is));
    String message = refusal("qwen3_c", folder);
    assertTrue(message.contains(expected), message);
  }

  /** One of two tensors that make one matrix has the scale 0: its rows do not change. */
  @ParameterizedTest
  @ValueSource(strings = {"gate_proj", "up_proj", "gate_proj|up_proj"})
  void aScaleOfZeroLeavesItsRows(String tensors) throws IOException {
    ModelFolder model = model("qwen3_c");
    Map<String, LowRank> all = model.adapter(RECORDED.resolve("dense"));
    Path config = copied("dense").resolve(CONFIG);
    String with = "\"o_proj\": 5, \"" + tensors + "\": 0";
    Files.writeString(config, Files.readString(config).replace("\"o_proj\": 5", with));
    Map<String, LowRank> some = model.adapter(folder);
    int same = 0;
    int zero = 0;
    for (String name : all.keySet()) {
      float[] before = change(all.get(name));
      float[] after = change(some.get(name));
      for (int i = 0; i < before.length; i++) {
        same += Math.abs(before[i] - after[i]) < 1e-5 ? 1 : 0;
        zero += after[i] == 0 && before[i] != 0 ? 1 : 0;
        assertTrue(after[i] == 0 || Math.abs(before[i] - after[i]) < 1e-5, name);
      }
    }
    assertTrue(zero > 0 && same > 0, zero + " and " + same);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "qwen3_moe_b_bf16 | dense | base_model.model.model.layers.1.mlp.down_proj.lora_A.weight F32[2, 64] adapts a matrix of model.layers.1.mlp.down_proj in the model, which has none of that name",
        "qwen3_c | stacked | base_model.model.model.layers.1.mlp.experts.lora_A.weight F32[32, 32] adapts 2 matrices of model.layers.1.mlp.experts in the model, which has none of that name",
        "olmo3_b | dense | base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight has the shape [2, 40] and base_model.model.model.layers.0.mlp.gate_proj.lora_B.weight [64, 2], but model.layers.0.mlp.gate_proj.weight is [56, 40] in the model",
      })
  void anotherModelsAdapterNamesItsFirstTensor(String model, String adapter, String expected) {
    Path folder = RECORDED.resolve(adapter);
    assertEquals(folder + ": " + expected, refusal(model, folder));
  }

  @ParameterizedTest
  @ValueSource(strings = {CONFIG, WEIGHTS})
  void filesAreThere(String missing) throws IOException {
    Files.delete(copied("dense").resolve(missing));
    assertEquals(folder.resolve(missing) + " does not exist", refusal("qwen3_c", folder));
  }

  @Test
  void filesAreWhole() throws IOException {
    Path weights = copied("dense").resolve(WEIGHTS);
    Files.write(weights, Arrays.copyOf(Files.readAllBytes(weights), 9000));
    String message = refusal("qwen3_c", folder);
    assertTrue(message.startsWith(weights.toString()), message);
  }

  @Test
  void picklesAreNotRead() throws IOException {
    Files.move(copied("dense").resolve(WEIGHTS), folder.resolve("adapter_model.bin"));
    String message = refusal("qwen3_c", folder);
    assertTrue(message.contains("adapter_model.bin, which is a program"), message);
  }

  /** Replaces bytes of the header by as many others. */
  private void rename(String was, String is) throws IOException {
    Path weights = folder.resolve(WEIGHTS);
    byte[] bytes = Files.readAllBytes(weights);
    int header = bytes[0] & 0xff | (bytes[1] & 0xff) << 8;
    String words = new String(bytes, 8, header, StandardCharsets.US_ASCII);
    assertTrue(words.contains(was) && was.length() == is.length());
    System.arraycopy(
        words.replace(was, is).getBytes(StandardCharsets.US_ASCII), 0, bytes, 8, header);
    Files.write(weights, bytes);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "lm_head.lora_A.weight | lm_head.lora_Q.weight | lm_head.lora_Q.weight F32[2, 40], which is no A or B of a matrix",
        "lm_head.lora_A.weight | lm_hEad.lora_A.weight | lm_hEad.lora_A.weight F32[2, 40] adapts a matrix of lm_hEad in the model, which has none",
        "1.mlp.down_proj.lora_B | 0.mlp.down_proj.lora_B | mlp.down_proj.lora_B.weight, but not its lora_A",
      })
  void tensorsAreInPairs(String was, String is, String expected) throws IOException {
    copied("dense");
    rename(was, is);
    String message = refusal("qwen3_c", folder);
    assertTrue(message.contains(expected), message);
  }

  @Test
  void numbersAreFinite() throws IOException {
    Path weights = copied("dense").resolve(WEIGHTS);
    byte[] bytes = Files.readAllBytes(weights);
    bytes[bytes.length - 1] = 0x7f; // the last element of lm_head's B
    bytes[bytes.length - 2] = (byte) 0xc0;
    Files.write(weights, bytes);
    assertEquals(
        folder + ": base_model.model.lm_head.lora_B.weight holds a number that is NaN",
        refusal("qwen3_c", folder));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "general.type | model | general.type is model, expected adapter",
        "adapter.type | dora | adapter.type is dora, expected lora",
        "general.architecture | qwen2 | general.architecture is qwen2, expected qwen3",
      })
  void otherFilesOfLlamaCppAreRefused(String key, String value, String expected)
      throws IOException {
    Path file = folder.resolve("a.gguf");
    Map<String, String> keys = new LinkedHashMap<>();
    keys.put("general.type", "adapter");
    keys.put("adapter.type", "lora");
    keys.put("general.architecture", "qwen3");
    keys.put(key, value);
    GgufWriter writer = new GgufWriter();
    keys.forEach(writer::put);
    writer.write(file, _ -> {});
    assertEquals(file + ": " + expected, refusal("qwen3_c", file));
  }

  /** Sums of bfloat16 weights are rounded once. */
  @Test
  void bfloat16StaysBfloat16() {
    ModelFolder model = model("qwen3_moe_b_bf16");
    Map<String, LowRank> adapter = model.adapter(RECORDED.resolve("stacked"));
    try (TensorFiles files = model.weights().open()) {
      String weight = "layers.1.moe.experts.3.up.weight";
      RowSource rows = model.weights().rows(files, model.config()).get(weight);
      LowRankRows merged = LowRankRows.of(rows, adapter.get(weight));
      assertEquals(DType.BFLOAT16, merged.dtype());
      float[] change = change(adapter.get(weight));
      short[] before = read(rows);
      short[] after = read(merged);
      for (int i = 0; i < change.length; i++) {
        float sum = BFloat16.toFloat(before[i]) + change[i];
        assertEquals(sum, BFloat16.toFloat(after[i]), Math.abs(sum) / 256 + 1e-6f);
      }
    }
  }

  private static short[] read(RowSource rows) {
    short[] read = new short[(int) (rows.rows() * rows.columns())];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(2L * read.length, 8);
      rows.read(0, rows.rows(), 0, rows.columns(), into);
      MemorySegment.copy(into, ValueLayout.JAVA_SHORT, 0, read, 0, read.length);
    }
    return read;
  }
}

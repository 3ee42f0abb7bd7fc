package panamoe.harness.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.ModelRunner;
import panamoe.harness.CommandRun;
import panamoe.harness.Quantization;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceMemory;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import tools.jackson.databind.json.JsonMapper;

/** {@code --quantize stored}: matrices of small GGUF files in their own blocks. */
class StoredExpertsTest {
  private final Backend cpu = Backends.open("cpu", 2);

  @AfterEach
  void close() {
    cpu.close();
  }

  private static Path file(String name) {
    return Path.of("../lab/golden/gguf", name + ".gguf");
  }

  private static LanguageModel load(
      ModelFolder folder, Backend backend, WeightTypes types, List<String> warnings) {
    return folder.load(backend, InferenceSettings.of(types), warnings);
  }

  /** Whether kernels multiply by it, if the model has blocks of it. */
  private static boolean isMatrix(String name) {
    return name.endsWith(".weight")
        && Stream.of("norm", "gate_inp", "sinks").noneMatch(name::contains);
  }

  /** Bytes of the file's matrices. */
  private static long matrixBytes(ModelFolder folder) {
    try (TensorFiles files = folder.weights().open()) {
      return files.tensors().values().stream()
          .filter(tensor -> isMatrix(tensor.name()))
          .mapToLong(StoredTensor::bytes)
          .sum();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "gptoss_c_yarn_q8_0, Q8_0",
    "mixtral_b_q4_0, Q4_0",
    "qwen2moe_b_q5_0, Q5_0",
    "qwen3moe_c_q8_0_split-00001-of-00003, Q8_0"
  })
  void expertsTakeWhatTheFileTakes(String name, DType blocks) {
    ModelFolder folder = ModelFolder.open(file(name));
    WeightTypes exact = WeightTypes.of(DType.FLOAT32);
    WeightTypes types = folder.typesAsStored(DType.FLOAT32);
    List<String> warnings = new ArrayList<>();
    try (Backend reference = new ReferenceBackend();
        LanguageModel here = load(folder, cpu, types, warnings);
        LanguageModel there = load(folder, reference, types, warnings);
        LanguageModel floats = load(folder, cpu, exact, warnings)) {
      assertEquals(List.of(), warnings);
      long elements = 0;
      for (Parameter parameter : here.parameters().parameters()) {
        boolean matrix = WeightTypes.mayBeBlocks(parameter);
        boolean vocabulary = parameter.part() == Parameter.Part.EMBEDDING;
        DType held = vocabulary ? DType.Q8_0 : blocks;
        assertEquals(
            matrix ? held : parameter.valueDType(DType.FLOAT32), parameter.value().dtype());
        elements += matrix ? parameter.count() : 0;
      }
      assertEquals(
          InferenceMemory.of(folder.config(), exact).weights() - 4 * elements + matrixBytes(folder),
          InferenceMemory.of(folder.config(), types).weights());
      float[] found = ModelRunner.nextLogits(cpu, here, 7, 1, 30);
      float[] expected = ModelRunner.nextLogits(reference, there, 7, 1, 30);
      float[] decoded = ModelRunner.nextLogits(cpu, floats, 7, 1, 30);
      double apart = 0;
      double largest = 0;
      double between = 0; // rows that are rounded to int8 the other way
      for (int i = 0; i < found.length; i++) {
        between = Math.max(between, Math.abs(expected[i] - found[i]));
        apart = Math.max(apart, Math.abs(decoded[i] - found[i]));
        largest = Math.max(largest, Math.abs(decoded[i]));
      }
      assertTrue(between < 0.02 * largest, between + " of " + largest);
      assertTrue(apart > 0 && apart < 0.1 * largest, apart + " of " + largest);
    }
  }

  /** Blocks are decoded in the cache, so all sums equal those of decoded weights. */
  @ParameterizedTest
  @ValueSource(strings = {"gptoss_c_yarn_q8_0", "mixtral_b_q4_0", "qwen2moe_b_q5_0"})
  void exactActivationsGiveTheBitsOfDecodedWeights(String name) {
    ModelFolder folder = ModelFolder.open(file(name));
    WeightTypes types = folder.typesAsStored(DType.FLOAT32);
    WeightTypes decoded = WeightTypes.of(DType.FLOAT32);
    try (LanguageModel exact = load(folder, cpu, types.withExact(true), new ArrayList<>());
        LanguageModel rounded = load(folder, cpu, types, new ArrayList<>());
        LanguageModel floats = load(folder, cpu, decoded, new ArrayList<>())) {
      float[] expected = ModelRunner.nextLogits(cpu, floats, 7, 1, 30);
      assertArrayEquals(expected, ModelRunner.nextLogits(cpu, exact, 7, 1, 30));
      assertFalse(Arrays.equals(expected, ModelRunner.nextLogits(cpu, rounded, 7, 1, 30)));
    }
  }

  /** A GPU keeps the file's bytes, and multiplies by them without rounding rows. */
  @Test
  void aGpuHasTheLogitsOfDecodedWeights() {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
    ModelFolder folder = ModelFolder.open(file("qwen2moe_b_q5_0"));
    WeightTypes types = folder.typesAsStored(DType.FLOAT32);
    try (Backend gpu = Backends.open("simt", 1);
        LanguageModel here = load(folder, gpu, types, new ArrayList<>());
        LanguageModel floats =
            load(folder, cpu, WeightTypes.of(DType.FLOAT32), new ArrayList<>())) {
      List<Parameter> parameters = here.parameters().parameters();
      for (Parameter parameter : parameters) {
        assertEquals(WeightTypes.mayBeBlocks(parameter), parameter.value().dtype().isBlocks());
      }
      assertEquals(
          parameters.stream().mapToLong(parameter -> parameter.value().bytes()).sum(),
          InferenceMemory.of(folder.config(), types, DType.FLOAT32, 1, false).weights());
      float[] found = ModelRunner.nextLogits(gpu, here, 7, 1, 30);
      float[] decoded = ModelRunner.nextLogits(cpu, floats, 7, 1, 30);
      for (int i = 0; i < found.length; i++) {
        assertEquals(decoded[i], found[i], 1e-4);
      }
    }
  }

  @Test
  void aTextIsTheSameAloneAndInABatch() throws InterruptedException {
    ModelFolder folder = ModelFolder.open(file("qwen3moe_text_q8_0"));
    WeightTypes types = folder.typesAsStored(DType.BFLOAT16);
    try (LanguageModel model = load(folder, cpu, types, new ArrayList<>())) {
      List<List<Integer>> alone = new ArrayList<>();
      for (int text = 0; text < 5; text++) {
        alone.addAll(write(folder, model, List.of(text)));
      }
      assertTrue(alone.stream().mapToInt(List::size).sum() > 40);
      assertEquals(alone, write(folder, model, List.of(0, 1, 2, 3, 4)));
    }
  }

  private List<List<Integer>> write(ModelFolder folder, LanguageModel model, List<Integer> texts)
      throws InterruptedException {
    List<List<Integer>> written = new ArrayList<>();
    Engine.onRanks(
        cpu,
        model,
        folder.tokenizer(),
        EngineConfig.of(texts.size(), 64),
        engine -> {
          for (int text : texts) {
            List<Integer> tokens = new ArrayList<>();
            written.add(tokens);
            engine.submit(
                GenerationRequest.of(
                    new int[] {5 + text, 9, 3},
                    SamplingConfig.of(text % 2, 0, 1, text),
                    StopConfig.of(20, List.of())),
                new GenerationListener() {
                  @Override
                  public void sampled(int token, TokenLogprobs logprobs, int[] routed) {
                    tokens.add(token);
                  }

                  @Override
                  public void wrote(String piece) {}

                  @Override
                  public void ended(Generation generation) {}

                  @Override
                  public void failed(RuntimeException cause) {
                    throw cause;
                  }
                });
          }
          while (engine.step()) {
            engine.idle();
          }
        });
    return written;
  }

  /** Layers whose gates and ups have two types. */
  @Test
  void aMixedFileIsDecodedInPartAndWarns() {
    ModelFolder folder = ModelFolder.open(file("olmoe_c_many_types"));
    List<String> warnings = new ArrayList<>();
    WeightTypes types = folder.typesAsStored(DType.BFLOAT16);
    try (LanguageModel model = load(folder, cpu, types, warnings)) {
      List<String> held =
          model.parameters().parameters().stream()
              .filter(parameter -> parameter.value().dtype() == DType.Q8_0)
              .map(Parameter::name)
              .toList();
      assertEquals("layers.0.moe.experts.down.weight", held.getFirst());
      assertEquals("layers.2.attention.query.weight", held.get(1));
      assertEquals("head.weight", held.getLast());
      assertEquals(6, held.size(), held.toString());
      assertEquals(
          List.of(
              "layers.0.moe.experts.0.up.weight and 17 more are decoded to bfloat16: not stored in"
                  + " whole blocks that can be multiplied by"),
          warnings);
      ModelRunner.nextLogits(cpu, model, 1, 2);
    }
  }

  @Test
  void commandsTakeIt() throws IOException {
    String model = file("qwen3moe_text_q8_0").toString();
    long stored = memory(model, "--quantize", "stored");
    assertEquals(stored, memory(model, "--quantize", "int8"), "every matrix is in Q8_0");
    assertTrue(memory(model, "--quantize", "int4") < stored);
    assertEquals(stored, memory(model), "the default");
    assertNotEquals(memory(model, "--quantize", "none"), stored);
    Path plain = file("deepseek2_v3_b_yarn_bf16");
    assertEquals(memory(plain.toString(), "--quantize", "none"), memory(plain.toString()));
    ModelFolder folder = ModelFolder.open(file("qwen3moe_text_q8_0"));
    assertEquals(Quantization.STORED, Quantization.of(null, folder));
    assertEquals(Quantization.NONE, Quantization.of(null, ModelFolder.open(plain)));
    assertEquals(Quantization.INT4, Quantization.of(Quantization.INT4, folder));
    CommandRun written =
        CommandRun.of(
            "generate",
            "--model",
            model,
            "--prompt",
            "ab",
            "--max-tokens",
            "2",
            "--quantize",
            "stored");
    assertEquals(0, written.exitCode(), written.err());
    assertTrue(written.err().lines().noneMatch(l -> l.startsWith("warning")), written.err());
  }

  /** The score of a text has the bits of decoded weights, unless rows are rounded. */
  @Test
  void activationsAreAnOption(@TempDir Path folder) throws IOException {
    String text = Files.writeString(folder.resolve("text.txt"), "abcd ".repeat(40)).toString();
    double decoded = bits(text, "--quantize", "none");
    assertEquals(decoded, bits(text, "--activations", "bf16"));
    double rounded = bits(text);
    assertEquals(rounded, bits(text, "--activations", "int8"), "the default");
    assertNotEquals(decoded, rounded);
    assertEquals(decoded, rounded, 0.1 * decoded);
    CommandRun refused = CommandRun.of("eval", "M.gguf", "--activations", "f16");
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("--activations"), refused.err());
  }

  private static double bits(String text, String... options) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("eval"));
    arguments.add(file("qwen3moe_text_q8_0").toString());
    arguments.addAll(List.of("--text", text, "--json"));
    arguments.addAll(List.of(options));
    CommandRun run = CommandRun.of(arguments.toArray(String[]::new));
    assertEquals(0, run.exitCode(), run.err());
    return JsonMapper.shared().readTree(run.out()).path("bits_per_byte").asDouble();
  }

  @Test
  void aFileWithoutBlocksSaysSo() {
    ModelFolder folder = ModelFolder.open(file("deepseek2_v3_b_yarn_bf16"));
    List<String> warnings = new ArrayList<>();
    WeightTypes types = folder.typesAsStored(DType.FLOAT32);
    assertFalse(types.quantized());
    load(folder, cpu, types, warnings).close();
    assertEquals(
        List.of("no matrix is stored in blocks that can be multiplied by: all are float32"),
        warnings);
    warnings.clear();
    ModelFolder dense = ModelFolder.open(Path.of("../lab/golden/hf/llama3_c_tied"));
    load(dense, cpu, dense.typesAsStored(DType.FLOAT32), warnings).close();
    assertEquals(
        List.of("no matrix is stored in blocks that can be multiplied by: all are float32"),
        warnings);
  }

  private static long memory(String model, String... options) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("inspect", model, "--memory", "--json"));
    arguments.addAll(List.of(options));
    CommandRun run = CommandRun.of(arguments.toArray(String[]::new));
    assertEquals(0, run.exitCode(), run.err());
    return JsonMapper.shared().readTree(run.out()).at("/memory/weights").asLong();
  }
}

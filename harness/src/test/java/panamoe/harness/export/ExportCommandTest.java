package panamoe.harness.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.config.ModelConfig;
import panamoe.config.NearlyEqual;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.harness.CommandRun;
import panamoe.io.ConfigJson;
import panamoe.io.Sha256;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.open.QuantizedFolder;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.testkit.FamilyTable;
import panamoe.testkit.VisionFolder;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code export} as a user runs it, on recorded models: the exported model is read back and
 * compared.
 */
class ExportCommandTest {
  private static final String WORDS = "one and two and three, é and 4 ";

  @TempDir private Path folder;
  @TempDir private Path runs;

  private static Path recorded(String name) {
    return Path.of("../lab/golden/" + name);
  }

  private static CommandRun ran(String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private Path exported(Path model, String to, String name, String... options) {
    Path out = folder.resolve(name);
    List<String> fixed = List.of("export", model.toString(), "--to", to, "--out", out.toString());
    ran(Stream.concat(fixed.stream(), Stream.of(options)).toArray(String[]::new));
    return out;
  }

  private void refused(String part, String... arguments) throws IOException {
    CommandRun run = CommandRun.of(arguments);
    assertTrue(run.exitCode() != 0);
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.filter(path -> !path.endsWith("model")).toList());
    }
  }

  /** A hash of every parameter's bytes: models with equal hashes compute equal logits. */
  private static Map<String, String> loaded(Path path) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32)) {
      Map<String, String> parameters = new LinkedHashMap<>();
      for (Parameter parameter : model.parameters().parameters()) {
        byte[] bytes = HostView.elements(parameter.value()).toArray(ValueLayout.JAVA_BYTE);
        parameters.put(parameter.name(), Sha256.hex(bytes));
      }
      return parameters;
    }
  }

  private static void assertSameModel(Path one, Path other) {
    assertEquals(ModelFolder.open(one).config(), ModelFolder.open(other).config());
    assertEquals(loaded(one), loaded(other));
  }

  @ParameterizedTest
  @MethodSource("panamoe.testkit.FamilyTable#exported")
  void huggingFaceFoldersComeBackTensorByTensor(String name) throws Exception {
    Path model = recorded("hf/" + name);
    Path out = exported(model, "hf", "out");
    assertSameModel(model, out);
    assertEquals(tensors(model), tensors(out));
  }

  /** GGUF has no floats of eight bits: the numbers stay what they are. */
  @Test
  void floatsOfEightBitsAreNotRounded() throws Exception {
    Path model =
        QuantizedFolder.of("float-block", 8, -1, true).quantized.write(runs.resolve("model"));
    assertEquals(loaded(model), loaded(exported(model, "gguf", "out.gguf")));
  }

  @Test
  void aTextModelIsExportedWithoutTheOtherParts() throws Exception {
    Path text = recorded("hf/gemma3_c");
    Path whole = VisionFolder.of(text, folder.resolve("model"), "gemma3", false, config -> config);
    Path out = folder.resolve("out");
    CommandRun run = ran("export", whole.toString(), "--to", "hf", "--out", out.toString());
    assertTrue(run.err().contains("3 tensors of encoders of images and sounds are left out"));
    assertSameModel(text, out);
    assertEquals(tensors(text), tensors(out));
    JsonNode config = JsonMapper.shared().readTree(out.resolve("config.json").toFile());
    assertEquals("gemma3_text", config.get("model_type").asString());
    assertEquals("Gemma3ForCausalLM", config.at("/architectures/0").asString());
    assertEquals(
        loaded(exported(text, "gguf", "1.gguf")), loaded(exported(whole, "gguf", "2.gguf")));
  }

  /** Lines of inspect --tensors without the file: names, dtypes and shapes. */
  private static List<String> tensors(Path model) {
    return ran("inspect", model.toString(), "--tensors")
        .out()
        .lines()
        .map(line -> line.substring(0, line.lastIndexOf(' ')).strip())
        .toList();
  }

  @ParameterizedTest
  @MethodSource("throughGguf")
  void modelsGoThroughGgufAndBack(String name) throws Exception {
    Path model = recorded("hf/" + name);
    Path gguf = exported(model, "gguf", "model.gguf");
    assertEquals(loaded(model), loaded(gguf));
    assertEquals(loaded(model), loaded(exported(gguf, "gguf", "again.gguf")));
    Path back = exported(gguf, "hf", "back");
    assertEquals(loaded(model), loaded(back));
    assertEquals(tensors(model), tensors(back));
  }

  /** libllama rounds GPT-OSS's ramp of YaRN, so that the table has other files of it. */
  static List<String> throughGguf() {
    List<String> names = new ArrayList<>(FamilyTable.exportedToGguf());
    names.removeAll(withOffsetNorms());
    names.add("gpt_oss_d_releasedrope");
    return names;
  }

  static List<String> withOffsetNorms() {
    return FamilyTable.exportedToGguf().stream()
        .filter(name -> name.matches("gemma[23].*"))
        .toList();
  }

  /** llama.cpp stores the weights of Gemma's norms plus 1, which rounds them. */
  @ParameterizedTest
  @MethodSource("withOffsetNorms")
  void offsetNormsGoThroughGguf(String name) throws Exception {
    Path model = recorded("hf/" + name);
    Path gguf = exported(model, "gguf", "model.gguf");
    assertEquals(
        List.of(),
        NearlyEqual.differences(ModelFolder.open(model).config(), ModelFolder.open(gguf).config()));
    Map<String, String> before = loaded(model);
    Map<String, String> after = loaded(gguf);
    assertEquals(before.keySet(), after.keySet());
    before.keySet().stream()
        .filter(weight -> !weight.contains("norm"))
        .forEach(weight -> assertEquals(before.get(weight), after.get(weight), weight));
    float[] written = norms(model);
    float[] read = norms(gguf);
    for (int i = 0; i < written.length; i++) {
      assertEquals(1 + written[i], 1 + read[i]); // the file's number
    }
    assertEquals(after, loaded(exported(gguf, "gguf", "again.gguf")));
    assertEquals(after, loaded(exported(gguf, "hf", "back")));
  }

  private static float[] norms(Path path) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, DType.FLOAT32)) {
      return model.parameters().parameters().stream()
          .filter(parameter -> parameter.name().contains("norm"))
          .map(parameter -> parameter.value().toFloats())
          .reduce(new float[0], ExportCommandTest::joined);
    }
  }

  private static float[] joined(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  /** Adjacent rotary pairs, biases, routers and quantised blocks; decoded on the way. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "mixtral_b_q4_0",
        "qwen2moe_b_q5_0",
        "olmoe_c_many_types",
        "llama_e_k_types",
        "deepseek2_v3_b_yarn_bf16",
        "gptoss_c_yarn_q8_0",
        "qwen3moe_c_q8_0_split-00001-of-00003"
      })
  void ggufFilesBecomeFolders(String name) throws Exception {
    Path model = recorded("gguf/" + name + ".gguf");
    Path out = exported(model, "hf", "out");
    assertEquals(loaded(model), loaded(out));
    Path again = exported(out, "gguf", "again.gguf", "--dtype", "f32");
    assertEquals(loaded(model), loaded(again));
  }

  /** Also GPT-OSS's gates and ups, whose rows take turns in a folder. */
  @ParameterizedTest
  @ValueSource(strings = {"mixtral_b_q4_0", "qwen2moe_b_q5_0", "gptoss_c_yarn_q8_0"})
  void ggufFilesKeepTheirBlocks(String name) throws Exception {
    Path model = recorded("gguf/" + name + ".gguf");
    Path out = exported(model, "gguf", "out.gguf");
    assertFalse(blocks(model).isEmpty());
    assertEquals(blocks(model), blocks(out));
    assertEquals(loaded(model), loaded(out));
  }

  private static Map<String, DType> blocks(Path path) {
    ModelFolder model = ModelFolder.open(path);
    return model.weights().blocks(model.config());
  }

  @ParameterizedTest
  @ValueSource(strings = {"qwen3moe_text_q8_0", "mixtral_text_f16"})
  void tokenizersGoThroughGguf(String name) throws Exception {
    Path model = recorded("gguf/" + name + ".gguf");
    Path hf = exported(model, "hf", "hf");
    Path again = exported(hf, "gguf", "again.gguf");
    String text = "Three rains fell in '98: <|im_start|> é 12345\n  and one more.";
    int[] tokens = ModelFolder.open(model).tokenizer().encode(text);
    assertArrayEquals(tokens, ModelFolder.open(hf).tokenizer().encode(text));
    assertArrayEquals(tokens, ModelFolder.open(again).tokenizer().encode(text));
    assertArrayEquals(
        ModelFolder.open(model).tokenizer().ends(), ModelFolder.open(hf).tokenizer().ends());
  }

  @Test
  void weightsAreRoundedAsAsked() throws Exception {
    Path model = recorded("hf/gpt_oss_d_releasedrope");
    Path half = exported(model, "hf", "half", "--dtype", "bf16");
    assertTrue(tensors(half).stream().allMatch(line -> line.contains(" BF16 ")));
    JsonNode config = JsonMapper.shared().readTree(half.resolve("config.json").toFile());
    assertEquals("bfloat16", config.get("torch_dtype").asString());
    assertEquals("GptOssForCausalLM", config.get("architectures").get(0).asString());
    Path blocks = exported(model, "gguf", "blocks.gguf", "--dtype", "q8_0");
    List<String> stored = tensors(blocks);
    assertTrue(stored.stream().anyMatch(line -> line.contains(" Q8_0 ")), stored.toString());
    assertTrue(
        stored.stream()
            .filter(line -> line.contains("norm") || line.contains("ffn_gate_inp"))
            .allMatch(line -> line.contains(" F32 ")),
        stored.toString());
    assertFalse(loaded(blocks).isEmpty());
  }

  @ParameterizedTest
  @CsvSource({
    "3.4028e38, bf16, 'BF16: a number is 3.4028E38, which BF16 does not hold'",
    "-Infinity, bf16, 'BF16: a number is -Infinity, which BF16 does not hold'",
    "Infinity, f32, 'F32: a number is NaN or infinite'"
  })
  void numbersThatATypeDoesNotHoldAreRefused(float number, String type, String words)
      throws Exception {
    Path model = Files.createDirectory(folder.resolve("model"));
    for (String name : new String[] {"config.json", "model.safetensors"}) {
      Files.copy(recorded("hf/deepseek_v3_a").resolve(name), model.resolve(name));
    }
    Path weights = model.resolve("model.safetensors");
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(weights)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putFloat(Long.BYTES + (int) bytes.getLong(0), number); // of the first tensor by name
    Files.write(weights, bytes.array());
    String[] export = {
      "export", model.toString(), "--without-tokenizer", "--to", "hf", "--dtype", type, "--out"
    };
    String out = folder.resolve("out").toString();
    refused(
        "lm_head.weight cannot be stored as " + words,
        Stream.concat(Stream.of(export), Stream.of(out)).toArray(String[]::new));
  }

  @Test
  void whatLlamaCppWouldComputeOtherwiseIsRefused() throws Exception {
    String out = folder.resolve("out.gguf").toString();
    refused(
        "GGUF's architecture llama has no word for what this model computes: it would be read with"
            + " another blocks[0].attention.scores.window",
        "export",
        recorded("hf/mixtral_b_bf16_sharded").toString(),
        "--to",
        "gguf",
        "--out",
        out);
    refused(
        "GGUF's architecture qwen3moe has no word for what this model computes: such a file has no"
            + " matrix blk.2.ffn_gate_inp.weight",
        "export",
        recorded("hf/qwen3_moe_b_bf16").toString(),
        "--to",
        "gguf",
        "--out",
        out);
    refused(
        "llama.cpp chooses groups of experts by their best two",
        "export",
        recorded("hf/deepseek_v2_b_group").toString(),
        "--to",
        "gguf",
        "--out",
        out);
  }

  @ParameterizedTest
  @CsvSource({
    "pr-moe, 'feedForward.residual'",
    "moe, 'none has feedForward.activation GELU_TANH'",
    "deepseek, 'of those whose sizes it has (mixtral, qwen2_moe, qwen3_moe, olmoe, gpt_oss, '",
    "dense, 'none has attentionNorm/feedForwardNorm/finalNorm.kind LAYER, feedForward.activation GELU_TANH'"
  })
  void partsThatNoFamilyHasAreNamed(String architecture, String part) throws Exception {
    Path run = runs.resolve("run");
    Path text = Files.writeString(runs.resolve("text"), "one and two and three ".repeat(200));
    String train = "train --preset tiny --steps 1 --arch " + architecture;
    ran((train + " --text " + text + " --out " + run).split(" "));
    for (String to : new String[] {"hf --out out", "gguf --out out.gguf"}) {
      String[] out = to.split(" ");
      String path = folder.resolve(out[2]).toString();
      refused(part, "export", run.toString(), "--to", out[0], "--out", path);
    }
  }

  /** Trains a family's model from scratch and exports it. */
  @ParameterizedTest
  @CsvSource({
    "mixtral_b_bf16_sharded, , hf",
    "qwen3_moe_b_bf16, , hf",
    "olmoe_b_clip, , hf",
    "deepseek_v3_a, , gguf",
    "deepseek_v3_a, 262, hf",
    "qwen2_moe_b_dense_mix, 262, hf",
    "deepseek_v3_a, 262, gguf"
  })
  void modelsTrainedFromScratchLeave(String like, Integer vocabulary, String to) throws Exception {
    Path text = Files.writeString(runs.resolve("text"), WORDS.repeat(300));
    ModelConfig model = ModelFolder.open(recorded("hf/" + like)).config();
    ModelConfig ours =
        new ModelConfig(
            vocabulary == null ? ByteTokenizer.SIZE : vocabulary,
            model.context(),
            model.hidden(),
            model.embedding(),
            model.blocks(),
            model.finalNorm(),
            model.head(),
            model.initialWeights());
    TrainConfig training =
        TrainConfig.of(new TrainConfig.Schedule(2, 1e-3, 1e-3, 0), new TrainConfig.Batch(2, 16, 1));
    Path config = runs.resolve("config.json");
    Files.writeString(config, ConfigJson.text(new RunConfig(ours, training, 1)));
    Path run = runs.resolve("run");
    String tokens = vocabulary == null ? "" : " --vocabulary " + vocabulary;
    ran(("train --config " + config + " --text " + text + " --out " + run + tokens).split(" "));
    assertLeaves(run, to);
  }

  /** On bytes, and by a trained tokenizer. */
  @ParameterizedTest
  @ValueSource(ints = {ByteTokenizer.SIZE, 262})
  void theArchitectureOfAFamilyLeaves(int vocabulary) throws Exception {
    Path text = Files.writeString(runs.resolve("text"), WORDS.repeat(300));
    Path run = runs.resolve("run");
    String train = "train --preset tiny --arch mixtral --steps 2 --vocabulary " + vocabulary;
    ran((train + " --text " + text + " --out " + run).split(" "));
    assertLeaves(run, "hf");
    assertLeaves(run, "gguf");
  }

  private void assertLeaves(Path run, String to) {
    Path out = exported(run, to, to.equals("hf") ? "out" : "out.gguf");
    assertEquals(loaded(run), loaded(out));
    ModelFolder left = ModelFolder.open(out);
    Tokenizer own = ModelFolder.open(run).tokenizer();
    assertArrayEquals(own.encode(WORDS), left.tokenizer().encode(WORDS));
    assertArrayEquals(own.ends(), left.tokenizer().ends());
    String write = "generate --prompt one --max-tokens 8 --temperature 0 --model ";
    assertEquals(ran((write + run).split(" ")).out(), ran((write + out).split(" ")).out());
  }

  @Test
  void wrongCallsAreRefused() throws Exception {
    String model = recorded("hf/deepseek_v3_a").toString();
    refused("--out must end in .gguf", "export", model, "--to", "gguf", "--out", "x");
    String out = folder.resolve("out").toString();
    refused("is for GGUF", "export", model, "--to", "hf", "--dtype", "q8_0", "--out", out);
    Path taken = Files.createDirectory(folder.resolve("model"));
    Files.writeString(taken.resolve("file"), "mine");
    refused("already exists", "export", model, "--to", "hf", "--out", taken.toString());
  }
}

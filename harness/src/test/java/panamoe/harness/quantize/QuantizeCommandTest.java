package panamoe.harness.quantize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.TrainableModel;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.checkpoint.TensorFiles;
import panamoe.data.Tokenizer;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.QuantizedFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.text.ModelOptions;
import panamoe.text.MoeModel;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;

/** {@code quantize} as a user runs it, on a model of a few steps and on small released ones. */
class QuantizeCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Path GOLDEN = Path.of("../lab/golden");

  @TempDir private static Path shared;
  private static Path text;
  private static Path model;

  @TempDir private Path folder;

  @BeforeAll
  static void trainModel() throws IOException {
    String[] words = {"the", "committee", "thanks", "its", "members", "for", "this", "vote"};
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(3000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    text = Files.writeString(shared.resolve("text.txt"), all);
    model = shared.resolve("model");
    ran("train --preset tiny --arch pr-moe --steps 10 --text " + text + " --out " + model);
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private JsonNode quantized(Path source, String options) throws IOException {
    return JSON.readTree(
        ran("quantize " + source + " --out " + out() + " --json " + options).out());
  }

  private Path out() {
    return folder.resolve("quantized");
  }

  /** Expects one sentence, and no new file in the folder. */
  private void refused(String part, Path source, String options) throws IOException {
    List<Path> before = files();
    CommandRun run =
        CommandRun.of(("quantize " + source + " --out " + out() + " " + options).split(" "));
    assertTrue(run.exitCode() == 1 || run.exitCode() == 2, run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
    assertEquals(before, files());
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }

  private static String types(Path folder, String part) {
    try (TensorFiles files = ModelFolder.open(folder).weights().open()) {
      return files.tensors().values().stream()
          .filter(tensor -> tensor.name().contains(part))
          .map(tensor -> tensor.type().name())
          .distinct()
          .sorted()
          .toList()
          .toString();
    }
  }

  private static double bits(String command) throws IOException {
    return JSON.readTree(ran(command + " --json").out()).get("bits_per_byte").asDouble();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          int8 | [Q8_0] | [Q8_0] | 1e-3 | 2e-3
          int4 | [Q4_0] | [Q8_0] | 2e-2 | 1e-2
          q4_k | [Q5_0] | [Q8_0] | 1e-2 | 5e-3
          q5_k | [Q5_1] | [Q8_0] | 1e-2 | 5e-3
          iq4_nl | [IQ4_NL] | [Q8_0] | 2e-2 | 1e-2
          q8_128 | [Q8_64] | [Q8_64] | 1e-3 | 2e-3
          """)
  void aModelIsRoundedMeasuredAndReadWithoutOptions(
      String format, String types, String vocabulary, double most, double kl) throws IOException {
    JsonNode report = quantized(model, "--to " + format);
    assertEquals(types, types(out(), ".experts.0.up.weight"));
    assertEquals(types, types(out(), ".attention.query.weight"));
    assertEquals(vocabulary, types(out(), "embedding.weight"));
    assertEquals("[F32]", types(out(), "norm"));
    double before = report.get("bits_per_byte_before").asDouble();
    double after = report.get("bits_per_byte_after").asDouble();
    assertEquals(before, after, most * before);
    assertTrue(
        report.get("kl").asDouble() > 0 && report.get("kl").asDouble() < kl, report::toString);
    // The measured score is that of eval on the run's own text, the default.
    assertEquals(before, bits("eval " + model), 1e-6);
    assertEquals(after, bits("eval " + out()), 1e-6);
    assertTrue(
        report.get("bytes_after").asLong() < 0.6 * report.get("bytes_before").asLong(),
        report::toString);
    ran("generate --model " + out() + " --prompt the --max-tokens 3");
    JsonNode inspected = JSON.readTree(ran("inspect --json --memory --verify " + out()).out());
    assertEquals(
        JSON.readTree(ran("inspect --json " + model).out()).get("total"), inspected.get("total"));
    assertTrue(
        inspected.at("/memory/weights").asLong() < 2 * inspected.get("total").asLong(),
        "less than all in bfloat16");
  }

  @Test
  void expertsThatNoTokenReachesStayInt8AndAreNamed() throws IOException {
    Path dull = Files.writeString(folder.resolve("dull.txt"), "a".repeat(20_000));
    JsonNode report = quantized(model, "--to int4 --text " + dull);
    JsonNode unreached = report.at("/unreached/1");
    assertTrue(unreached.size() > 4, report::toString);
    for (JsonNode expert : unreached) {
      assertEquals(
          "[Q8_0]", types(out(), "layers.1.moe.experts." + expert.asString() + ".up.weight"));
    }
    assertEquals("[F32, Q4_0, Q8_0]", types(out(), ".experts."));
    assertEquals("[Q4_0]", types(out(), ".attention.query.weight"), "every token reaches it");
    CommandRun words =
        ran(
            "quantize "
                + model
                + " --to int4 --measure 0 --text "
                + dull
                + " --out "
                + folder.resolve("words"));
    assertTrue(
        words.out().contains(unreached.size() + " experts never reached, in int8: layer 1: "),
        words.out());
    assertTrue(words.out().contains("\nmatrices: "), words.out());
    assertTrue(report.get("kl").asDouble() < 1e-2, report::toString);
  }

  @Test
  void aPlanHasOtherFormatsForSomeMatrices() throws IOException {
    plan(
        "{\"rules\": [{\"names\": \"layers.*.do*.weight\", \"to\": \"q5_0\"},"
            + " {\"names\": \"*.up.weight\", \"layers\": \"0-1\", \"experts\": \"0,2-3\", \"to\": \"keep\"}]}");
    quantized(model, "--to int8 --plan " + folder.resolve("plan.json"));
    assertEquals("[Q5_0]", types(out(), ".experts.1.down.weight"));
    for (int expert : new int[] {0, 2, 3}) {
      assertEquals("[F32]", types(out(), "layers.1.moe.experts." + expert + ".up.weight"));
    }
    assertEquals("[Q8_0]", types(out(), "layers.1.moe.experts.1.up.weight"));
    ModelFolder written = ModelFolder.open(out());
    List<String> warnings = new ArrayList<>();
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel loaded =
            written.load(
                backend, InferenceSettings.of(written.typesAsStored(DType.FLOAT32)), warnings)) {
      List<DType> held =
          loaded.moeLayers().getFirst().expertMatrices().getFirst().value().matrices().stream()
              .map(Tensor::dtype)
              .toList();
      assertEquals(
          List.of(DType.FLOAT32, DType.Q8_0, DType.FLOAT32, DType.FLOAT32), held.subList(0, 4));
      assertEquals(Set.of(DType.Q8_0), Set.copyOf(held.subList(4, held.size())));
      assertEquals(List.of(), warnings);
    }
  }

  private void plan(String json) throws IOException {
    Files.writeString(folder.resolve("plan.json"), json);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          names no matrix of the model that is rounded | {"rules": [{"layers": "7", "to": "int8"}]}
          names no matrix of the model that is rounded | {"rules": [{"names": "*.gate.weight", "to": "int8"}]}
          names no matrix of the model that is rounded | {"rules": [{"names": "*e*e*.*e*e*e*e*.*e*e*e*e*.*w*e*i*g*h*t*s", "to": "int8"}]}
          names no matrix of the model that is rounded | {"rules": [{"names": "******************************s", "to": "int8"}]}
          contradict each other: layers.0.mlp.down.weight is to be int8 and int4 | {"rules": [{"layers": "0-9", "to": "int8"}, {"names": "*.down.weight", "to": "int4"}]}
          none of names, layers and experts | {"rules": [{"to": "int8"}]}
          expected numbers and ranges | {"rules": [{"layers": "one", "to": "int8"}]}
          layers has the range "3-1" backwards | {"rules": [{"layers": "0,3-1", "to": "int8"}]}
          expected one of [int8, | {"rules": [{"layers": "1", "to": "int3"}]}
          has no rules | {"rules": []}
          nothing is to be rounded | {"rules": [{"layers": "1", "to": "keep"}]}
          plan.json | {"rules"
          """)
  void aPlanThatMakesNoSenseIsRefused(String part, String json) throws IOException {
    plan(json);
    refused(part, model, "--plan " + folder.resolve("plan.json"));
  }

  @Test
  void badInputIsRefusedInASentence() throws IOException {
    refused("give --to, --plan, --size or --loss", model, "");
    refused("'fp8_128' is none of [int8, int4, q8_0, ", model, "--to fp8_128");
    refused("does not exist", model, "--to int4 --text " + folder.resolve("none.txt"));
    Path binary = Files.write(folder.resolve("binary"), new byte[2000]);
    refused("binary", model, "--to int4 --text " + binary);
    Path brief = Files.writeString(folder.resolve("brief.txt"), "a few words\n".repeat(10));
    refused("too short to calibrate on", model, "--to int4 --text " + brief);
    refused("--calibrate is 100, expected at least", model, "--to int4 --calibrate 100");
    refused("is in blocks already", GOLDEN.resolve("gguf/qwen2moe_b_q5_0.gguf"), "--to int4");
    Files.createDirectory(out());
    refused("exists already", model, "--to int4");
  }

  @ParameterizedTest
  @CsvSource({"mixtral_text_f16.gguf, int8"})
  void aReleasedModelKeepsItsTokenizerAndTemplate(String name, String format) throws IOException {
    Path source = GOLDEN.resolve("gguf").resolve(name);
    JsonNode report = quantized(source, "--to " + format + " --text " + text);
    ModelFolder before = ModelFolder.open(source);
    ModelFolder after = ModelFolder.open(out());
    sameWords(before.tokenizer(), after.tokenizer());
    assertEquals(prompt(before), prompt(after));
    assertEquals(before.config(), after.config());
    assertTrue(report.get("kl").asDouble() < 0.2, report::toString);
    assertFalse(after.typesAsStored(DType.FLOAT32).stored().isEmpty());
    ran("generate --model " + out() + " --prompt the --max-tokens 3");
    refused("exists already", source, "--to int8");
    for (String layout : List.of("hf", "gguf")) {
      Path exported = folder.resolve("exported." + layout);
      ran("export " + out() + " --to " + layout + " --out " + exported);
      sameWords(before.tokenizer(), ModelFolder.open(exported).tokenizer());
      assertTrue(ModelFolder.open(exported).tokenizerFiles().chatTemplate().isPresent(), layout);
    }
  }

  /** Publishers release some models in FP8 alone; rounding those floats is no second rounding. */
  @Test
  void floatsOfEightBitsAreRounded() throws IOException {
    Path source =
        QuantizedFolder.of("float-block", 8, -1, true).quantized.write(folder.resolve("source"));
    ran("tokenizer --vocabulary 290 --text " + text + " --out " + source + "/tokenizer.json");
    JsonNode report = quantized(source, "--to int8 --text " + text);
    assertEquals("[Q8_0]", types(out(), ".experts.0.up.weight"));
    assertTrue(report.get("kl").asDouble() < 0.2, report::toString);
  }

  @Test
  void aHuggingFaceFolderKeepsItsFiles() throws IOException {
    Path source = folder.resolve("released");
    Files.createDirectory(source);
    try (Stream<Path> files = Files.list(GOLDEN.resolve("hf/mixtral_b_bf16_sharded"))) {
      for (Path file : files.toList()) {
        Files.copy(file, source.resolve(file.getFileName()));
      }
    }
    int vocabulary = ModelFolder.open(source).config().vocabulary();
    ran(
        "tokenizer --vocabulary "
            + Math.min(260, vocabulary - 8)
            + " --text "
            + text
            + " --out "
            + source.resolve("tokenizer.json"));
    Files.writeString(
        source.resolve("generation_config.json"), "{\"temperature\": 0.25, \"top_k\": 7}");
    Files.writeString(source.resolve("chat_template.jinja"), "{{ messages[0].content }}");
    Path config = source.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config).replace("\"eos_token_id\": null", "\"eos_token_id\": [0, 5]"));
    quantized(source, "--to int8 --text " + text + " --calibrate 2000 --dtype bf16");
    ModelFolder after = ModelFolder.open(out());
    assertEquals(
        ModelFolder.open(source).tokenizerFiles().sampling(), after.tokenizerFiles().sampling());
    assertEquals(7, after.tokenizerFiles().sampling().topK());
    assertEquals(prompt(ModelFolder.open(source)), prompt(after));
    assertEquals(2, after.tokenizer().ends().length, "of the publisher's config.json");
    sameWords(ModelFolder.open(source).tokenizer(), after.tokenizer());
    assertEquals("[Q8_0]", types(out(), "embedding"));
    ran("generate --model " + out() + " --prompt the --max-tokens 3 --dtype bf16");
    Path exported = folder.resolve("exported");
    ran("export " + out() + " --to hf --out " + exported);
    sameWords(after.tokenizer(), ModelFolder.open(exported).tokenizer());
    assertEquals(prompt(after), prompt(ModelFolder.open(exported)));
    assertFalse(types(exported, ".experts.").contains("Q8_0"), "blocks are decoded");
  }

  private static String prompt(ModelFolder model) {
    ArrayNode messages = JSON.createArrayNode();
    messages.addObject().put("role", "user").put("content", "hello");
    return model
        .tokenizerFiles()
        .chatTemplate()
        .orElseThrow()
        .render(messages, JSON.createArrayNode(), true, JSON.createObjectNode())
        .text();
  }

  private static void sameWords(Tokenizer before, Tokenizer after) {
    String words = "The committee thanks its members.";
    assertArrayEquals(before.ends(), after.ends());
    assertArrayEquals(before.prefix(), after.prefix());
    assertArrayEquals(before.encode(words), after.encode(words));
  }

  @Test
  void aQuantizedModelIsNotTrainedOrEdited() throws IOException {
    quantized(model, "--to int8 --measure 0");
    for (String command :
        List.of(
            "edit " + out() + " --drop-layers 0 --out ",
            "distill --teacher " + out() + " --steps 1 --out ")) {
      CommandRun run = CommandRun.of((command + folder.resolve("other")).split(" "));
      assertEquals(1, run.exitCode(), run.err());
      assertTrue(
          run.err().contains("is a quantized model, and this needs a checkpoint"), run.err());
    }
    CommandRun further = CommandRun.of("train", "--resume", "--out", out().toString());
    assertEquals(1, further.exitCode(), further.err());
    assertTrue(further.err().contains("describes a quantized model"), further.err());
    assertTrue(Files.notExists(out().resolve(".lock")));
  }

  @Test
  void aChangedFileIsFound() throws IOException {
    quantized(model, "--to int4 --measure 0");
    Path file = out().resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length / 2] ^= 1;
    Files.write(file, bytes);
    CommandRun run = CommandRun.of("eval", out().toString());
    assertEquals(1, run.exitCode(), run.out());
    assertTrue(run.err().contains("was changed since it was saved"), run.err());
  }

  @Test
  void theFacadeWritesWithItAndDoesNotTrainIt() {
    ran("quantize " + model + " --out " + out() + " --to int8");
    try (Device device = Device.open("cpu", 1);
        MoeModel quantized = MoeModel.open(device, out());
        MoeModel rounded =
            MoeModel.open(
                device, model, ModelOptions.USUAL.withWeights(ModelOptions.Weights.INT8))) {
      assertArrayEquals(rounded.nextLogits(1, 2, 3), quantized.nextLogits(1, 2, 3), 0.05f);
      String said =
          assertThrows(PanamoeException.BadModel.class, () -> TrainableModel.load(device, out()))
              .getMessage();
      assertTrue(said.contains("is a quantized model"), said);
    }
  }
}

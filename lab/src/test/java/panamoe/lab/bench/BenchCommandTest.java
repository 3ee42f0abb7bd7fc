package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Tests the output of every kind, and that each invalid argument gives one sentence. */
class BenchCommandTest {
  private static final String GGUF = "golden/gguf/qwen3moe_text_q8_0.gguf";

  @Test
  void aStudentsStepStandsBesideItsParts() {
    CommandRun run =
        CommandRun.of(
            "bench", "distill-step", "--tokens", "256", "--seconds", "0.001", "--device", "cpu");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains("step + forward"), run.out());
  }

  @Test
  void runtimeKernelsAreForModelsOnAGpu() {
    CommandRun layer = CommandRun.of("bench", "moe-layer", "--runtime-kernels");
    assertEquals(2, layer.exitCode());
    assertTrue(
        layer.err().contains("--runtime-kernels is for prefill, decode and decode-batch"),
        layer.err());
    CommandRun decode =
        CommandRun.of(
            "bench", "decode", "--runtime-kernels", "--device", "reference", "--shape", "8x8x2x1");
    assertEquals(2, decode.exitCode());
    assertTrue(
        decode.err().contains("is for --device cuda, this run computes on reference"),
        decode.err());
  }

  @ParameterizedTest
  @ValueSource(strings = {"train-step", "distill-step"})
  void aStepIsMeasuredAtTheDemosShapeToo(String kind) {
    CommandRun run =
        CommandRun.of(
            "bench", kind, "--shape", "demo", "--tokens", "256", "--seconds", "0.001", "--profile");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains(" demo "), run.out());
    // Of a PR-MoE: the products of the fixed MLP and the experts are mixed.
    assertTrue(run.out().contains("combineBackward"), run.out());
    CommandRun refused = CommandRun.of("bench", kind, "--shape", "s1");
    assertEquals(2, refused.exitCode());
    assertTrue(
        refused.err().contains("--shape: a " + kind + " has 256x1024x16x1 or demo"), refused.err());
  }

  @ParameterizedTest
  @EnumSource(
      value = BenchKind.class,
      names = {"TRAIN_STEP", "DISTILL_STEP", "LOAD"},
      mode = EnumSource.Mode.EXCLUDE)
  void printsOneJsonLineACell(BenchKind kind) throws Exception {
    CommandRun run =
        CommandRun.of(
            "bench",
            kind.toString(),
            "--shape",
            "32x64x4x2",
            "--tokens",
            "3,8",
            "--dtype",
            "f32,bf16",
            "--seconds",
            "0.001",
            "--threads",
            "1",
            "--device",
            "reference",
            "--json");
    assertEquals(0, run.exitCode(), run.err());
    String[] lines = run.out().strip().split("\n");
    assertEquals(4, lines.length, run.out());
    for (int i = 0; i < lines.length; i++) {
      JsonNode line = JsonMapper.shared().readTree(lines[i]);
      assertEquals(kind.toString(), line.get("name").asString());
      assertEquals("32x64x4x2", line.get("shape").asString());
      assertEquals(i % 2 == 0 ? 3 : 8, line.get("tokens").asInt());
      assertEquals(i < 2 ? "f32" : "bf16", line.get("dtype").asString());
      assertEquals(1, line.get("threads").asInt());
      double median = line.get("median_ms").asDouble();
      assertTrue(median > 0 && line.get("min_ms").asDouble() <= median, lines[i]);
      assertEquals(kind != BenchKind.DISPATCH, line.get("gflops").asDouble() > 0, lines[i]);
      assertTrue(line.get("gbytes_per_s").asDouble() > 0, lines[i]);
      boolean wholeModel =
          List.of(BenchKind.PREFILL, BenchKind.DECODE, BenchKind.DECODE_BATCH).contains(kind);
      assertEquals(wholeModel, line.has("tokens_per_s"), lines[i]);
      if (wholeModel) {
        int tokens = kind == BenchKind.DECODE ? 1 : line.get("tokens").asInt();
        assertEquals(tokens, line.get("tokens_per_s").asDouble() * median / 1e3, 1e-9, lines[i]);
      }
    }
  }

  @Test
  void namesTheModelThatIsNotTheUsualOne() throws Exception {
    CommandRun run =
        CommandRun.of(
            "bench",
            "decode-batch",
            "--model",
            "qwen3",
            "--shape",
            "32x64x4x2-swiglu",
            "--tokens",
            "3",
            "--seconds",
            "0.001",
            "--device",
            "reference",
            "--json");
    assertEquals(0, run.exitCode(), run.err());
    JsonNode line = JsonMapper.shared().readTree(run.out());
    assertEquals("decode-batch qwen3", line.get("name").asString());
    assertEquals("engine", line.get("peer").asString());
  }

  @Test
  void loadsBesideThePageCache() throws Exception {
    CommandRun run =
        CommandRun.of(
            "bench",
            "load",
            "--shape",
            "32x64x4x2",
            "--dtype",
            "f32,bf16",
            "--seconds",
            "0.001",
            "--device",
            "reference",
            "--json");
    assertEquals(0, run.exitCode(), run.err());
    String[] lines = run.out().strip().split("\n");
    assertEquals(2, lines.length, run.out());
    for (String each : lines) {
      JsonNode line = JsonMapper.shared().readTree(each);
      assertEquals("load", line.get("name").asString());
      assertEquals("page cache", line.get("peer").asString());
      assertTrue(line.get("gbytes_per_s").asDouble() > 0, each);
      double ratio = line.get("peer_median_ms").asDouble() / line.get("median_ms").asDouble();
      assertEquals(ratio, line.get("ratio").asDouble(), 1e-9, each);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"prefill", "decode"})
  void aModelsFileIsMeasuredAsItsWeightsAreHeld(String kind) throws Exception {
    CommandRun run =
        CommandRun.of(
            "bench",
            kind,
            "--model",
            GGUF,
            "--quantize",
            "bf16,stored",
            "--batch",
            "1,3",
            "--tokens",
            "5",
            "--seconds",
            "0.001",
            "--device",
            "reference",
            "--json");
    assertEquals(0, run.exitCode(), run.err());
    String[] lines = run.out().strip().split("\n");
    assertEquals(4, lines.length, run.out());
    double[] bytes = new double[4];
    for (int i = 0; i < lines.length; i++) {
      JsonNode line = JsonMapper.shared().readTree(lines[i]);
      assertEquals(kind + " qwen3moe_text_q8_0.gguf", line.get("name").asString());
      assertEquals("64x64x8x2-swiglu", line.get("shape").asString());
      assertEquals("bf16", line.get("dtype").asString());
      assertEquals(i < 2 ? "bf16" : "stored", line.get("quantize").asString());
      assertEquals(i % 2 == 0 ? 0 : 3, line.path("texts").asInt());
      double median = line.get("median_ms").asDouble();
      int tokens = (kind.equals("prefill") ? 5 : 1) * (i % 2 == 0 ? 1 : 3);
      assertEquals(tokens, line.get("tokens_per_s").asDouble() * median / 1e3, 1e-9, lines[i]);
      bytes[i] = line.get("gbytes_per_s").asDouble() * median;
    }
    assertTrue(bytes[2] < 0.7 * bytes[0] && bytes[2] > 0.5 * bytes[0], run.out());
  }

  @Test
  void aModelsFileIsLoadedBesideThePageCache() throws Exception {
    CommandRun run =
        CommandRun.of(
            "bench",
            "load",
            "--model",
            GGUF,
            "--quantize",
            "stored",
            "--seconds",
            "0.001",
            "--device",
            "reference",
            "--json");
    assertEquals(0, run.exitCode(), run.err());
    JsonNode line = JsonMapper.shared().readTree(run.out());
    assertEquals("load qwen3moe_text_q8_0.gguf", line.get("name").asString());
    assertEquals("page cache", line.get("peer").asString());
    double bytes = line.get("gbytes_per_s").asDouble() * line.get("median_ms").asDouble() * 1e6;
    assertEquals(Files.size(Path.of(GGUF)), bytes, 1);
  }

  /** On the emulation of a GPU, whose kernels are captured. */
  @Test
  void tellsTheHostsTimeFromTheKernels() throws Exception {
    assumeTrue(System.getProperty("panamoe.test.backends", "simt").contains("simt"));
    for (String kind : List.of("gate", "decode-batch", "moe-layer-training", "adapter-training")) {
      CommandRun run =
          CommandRun.of(
              "bench",
              kind,
              "--shape",
              "16x16x2x1",
              "--tokens",
              "2",
              "--seconds",
              "0.001",
              "--device",
              "simt",
              "--json");
      assertEquals(0, run.exitCode(), run.err());
      boolean captured = !kind.endsWith("-training");
      JsonNode line = new JsonMapper().readTree(run.out());
      assertEquals(captured, line.has("host_ms"), run.out());
      assertEquals(captured ? "" : kind + " is not captured: its times include", head(run.err()));
    }
  }

  private static String head(String text) {
    return text.substring(0, Math.max(0, text.indexOf(" the host's")));
  }

  @Test
  void resultsAreAppendedToAFileThatCanBeWritten(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("results");
    for (int lines = 1; lines <= 2; lines++) {
      assertEquals(0, appendingTo(file).exitCode());
      assertEquals(lines, Files.readAllLines(file).size());
    }
    for (String line : Files.readAllLines(file)) {
      assertEquals("gate", JsonMapper.shared().readTree(line).get("name").asString());
    }
    CommandRun refused = appendingTo(file.resolve("results"));
    assertEquals(1, refused.exitCode());
    assertTrue(refused.err().contains(file + " is a file"), refused.err());
    String full = appendingTo(Path.of("/dev/full")).err();
    assertTrue(full.endsWith("panamoe bench: No space left on device: /dev/full\n"), full);
    assertEquals("", refused.out(), "it measured first");
  }

  private static CommandRun appendingTo(Path file) {
    return CommandRun.of(
        "bench",
        "gate",
        "--shape",
        "32x64x4x2",
        "--tokens",
        "3",
        "--seconds",
        "0.001",
        "--device",
        "reference",
        "--append",
        file.toString());
  }

  @Test
  void printsATable() {
    CommandRun run =
        CommandRun.of(
            "bench",
            "moe-layer",
            "--shape",
            "16x16x2x1-swiglu",
            "--tokens",
            "4",
            "--seconds",
            "0.001",
            "--device",
            "reference");
    assertEquals(0, run.exitCode(), run.err());
    assertTrue(run.out().contains(Measurement.HEADER), run.out());
    assertTrue(run.out().lines().anyMatch(line -> line.startsWith("moe-layer")), run.out());
  }

  static Stream<Arguments> wrong() {
    return Stream.of(
        Arguments.of("'layer' is none of [gate, dispatch, ", new String[] {"layer"}),
        Arguments.of(
            "shape is '1x2x3', expected s1, s2, s3, demo or MxFxExK",
            new String[] {"gate", "--shape", "1x2x3"}),
        Arguments.of("shape is '8x8x8xtwo'", new String[] {"gate", "--shape", "8x8x8xtwo"}),
        Arguments.of(
            "topK is 3 but there are only 2 experts", new String[] {"gate", "--shape", "8x8x2x3"}),
        Arguments.of("is more than 65536", new String[] {"gate", "--shape", "8x8x2000000000x3"}),
        Arguments.of(
            "the experts of 65536x65536x1024x1 take 16384.0 GiB in moe-layer, but only",
            new String[] {"moe-layer", "--shape", "65536x65536x1024x1", "--dtype", "bf16"}),
        Arguments.of("--tokens is 0, expected 1 to", new String[] {"gate", "--tokens", "0"}),
        Arguments.of("'int8' is none of [f32, bf16]", new String[] {"gate", "--dtype", "int8"}),
        Arguments.of(
            "--seconds is -1.0, expected more than 0", new String[] {"gate", "--seconds", "-1"}),
        Arguments.of(
            "'ggml' is none of [torch, torch-einsum, torch-grouped, cublaslt, triton, flash-attn,"
                + " djl, ",
            new String[] {"moe-layer", "--peer", "ggml"}),
        Arguments.of(
            "--peer torch does not run on --device reference",
            new String[] {"moe-layer", "--peer", "torch", "--device", "reference"}),
        Arguments.of("--peer torch runs gate, ", new String[] {"dispatch", "--peer", "torch"}),
        Arguments.of(
            "--peer cublaslt does not run on --device cpu",
            new String[] {"grouped-gemm", "--peer", "cublaslt", "--device", "cpu"}),
        Arguments.of(
            "--peer djl runs moe-layer, not train-step",
            new String[] {"train-step", "--peer", "djl"}),
        Arguments.of(
            "--peer onnxruntime runs only f32",
            new String[] {"moe-layer", "--peer", "onnxruntime", "--dtype", "f32,bf16"}),
        Arguments.of(
            "--peer llama runs prefill, decode, decode-batch, not moe-layer",
            new String[] {"moe-layer", "--peer", "llama"}),
        Arguments.of(
            "--peer llama runs only gated experts: --shape s1 has others, expected s2, s3",
            new String[] {"decode", "--peer", "llama", "--shape", "s1"}),
        Arguments.of(
            "--peer llama runs --model qwen3, not paper",
            new String[] {"decode", "--peer", "llama", "--model", "paper", "--shape", "s2"}),
        Arguments.of(
            "--model is for prefill, decode and decode-batch, not for gate",
            new String[] {"gate", "--model", "qwen3"}),
        Arguments.of(
            "--model is for prefill, decode, decode-batch and load, not for gate",
            new String[] {"gate", "--model", GGUF}),
        Arguments.of(
            "--shape: a --model with files has a shape of its own",
            new String[] {"decode", "--model", GGUF, "--shape", "s1"}),
        Arguments.of(
            "--dtype: a --model with files is measured in bf16",
            new String[] {"decode", "--model", GGUF, "--dtype", "bf16"}),
        Arguments.of(
            "--quantize is for a --model with files",
            new String[] {"decode", "--quantize", "int8"}),
        Arguments.of(
            "'q8' is none of [bf16, int8, int4, stored]",
            new String[] {"decode", "--model", GGUF, "--quantize", "q8"}),
        Arguments.of(
            "--batch is for prefill and decode, not for decode-batch",
            new String[] {"decode-batch", "--batch", "2"}),
        Arguments.of(
            "--batch is 257, expected 1 to 256", new String[] {"decode", "--batch", "257"}),
        Arguments.of(
            "--peer llama runs prefill, decode, decode-batch, not load",
            new String[] {"load", "--model", GGUF, "--peer", "llama"}),
        Arguments.of(
            "a train-step has 256x1024x16x1 or demo", new String[] {"train-step", "--shape", "s1"}),
        Arguments.of("--tokens: load takes none", new String[] {"load", "--tokens", "3"}),
        Arguments.of(
            "expected a multiple of its sequences of 256",
            new String[] {"train-step", "--tokens", "100"}),
        Arguments.of(
            "decode over 4096 tokens: expected fewer than its context of 4096",
            new String[] {"decode", "--tokens", "4096"}));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void saysInOneSentenceWhatIsWrong(String sentence, String[] arguments) {
    String[] all = Stream.concat(Stream.of("bench"), Stream.of(arguments)).toArray(String[]::new);
    CommandRun run = CommandRun.of(all);
    assertEquals(2, run.exitCode());
    assertTrue(run.err().contains(sentence), run.err());
    assertEquals(1, run.err().strip().lines().count(), run.err());
  }

  /** Like OutputPlaceTest for other commands. */
  @Test
  void theFolderOfResultsIsMadeAndAFileInItsPlaceIsNamed(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "");
    CommandRun refused = appending(file.resolve("below/place"));
    assertEquals(1, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains("cannot make the folder " + file), refused.err());
    assertTrue(refused.err().endsWith(": " + file + " is a file\n"), refused.err());
    assertEquals("", refused.out(), "refused before the work");
    Path place = folder.resolve("new/folder/place");
    CommandRun done = appending(place);
    assertEquals(0, done.exitCode(), done.err());
    assertEquals(1, Files.readAllLines(place).size());
  }

  private static CommandRun appending(Path place) {
    String command =
        "bench gate --device reference --shape 32x64x4x2 --tokens 3 --seconds 0.001 --append";
    return CommandRun.of((command + " " + place).split(" "));
  }

  /** Like LocaleTest for other commands. */
  @ParameterizedTest
  @ValueSource(strings = {"ar-EG-u-nu-arab", "tr-TR"})
  void everyLocaleHasPlainDigits(String language) {
    String refused = CommandRun.of("bench", "gate", "--shape", "1").err();
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag(language));
    try {
      assertEquals(refused, CommandRun.of("bench", "gate", "--shape", "1").err());
      CommandRun run =
          CommandRun.of(
              "bench", "gate", "--shape", "64x128x4x1", "--tokens", "8", "--seconds", "0.01");
      assertEquals(0, run.exitCode(), run.err());
      assertTrue((run.out() + run.err()).chars().allMatch(c -> c < 128 || !Character.isDigit(c)));
    } finally {
      Locale.setDefault(before);
    }
  }
}

package panamoe.harness.quantize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code quantize --size} and {@code --loss}: formats by what their rounding costs. */
class ChooseCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String BRIEF = " --calibrate 1024 --measure 2048 ";
  private static final String EXPERTS = "layers.*.moe.experts.*.up.weight";

  @TempDir private static Path shared;
  private static Path text;
  private static Path model;
  private static Path dense; // of a family that has GGUF files

  @TempDir private Path folder;

  @BeforeAll
  static void trainModels() throws IOException {
    String[] words = {"the", "committee", "thanks", "its", "members", "for", "this", "vote"};
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(3000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    text = Files.writeString(shared.resolve("text.txt"), all);
    model = shared.resolve("model");
    ran("train --preset tiny --arch pr-moe --steps 40 --text " + text + " --out " + model);
    dense = shared.resolve("mixtral");
    ran("train --preset tiny --arch mixtral --steps 5 --text " + text + " --out " + dense);
  }

  private static CommandRun ran(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private JsonNode quantized(Path source, String name, String options) throws IOException {
    return JSON.readTree(
        ran("quantize " + source + BRIEF + options + " --json --out " + folder.resolve(name))
            .out());
  }

  private byte[] weights(String name) throws IOException {
    return Files.readAllBytes(folder.resolve(name).resolve("model.safetensors"));
  }

  @Test
  void aSizeIsFilledByWhatEachClassCosts() throws IOException {
    JsonNode report = quantized(model, "chosen", "--size 5.5bpw");
    double bits = report.get("bits_per_weight").asDouble();
    assertTrue(bits <= 5.5 && bits > 5, report::toString);
    long elements = JSON.readTree(ran("inspect --json " + model).out()).get("total").asLong();
    assertEquals(bits, 8.0 * report.get("bytes_after").asLong() / elements, 1e-9);
    double sum = 0;
    Set<String> formats = new HashSet<>();
    for (Map.Entry<String, JsonNode> one : report.get("classes").properties()) {
      assertTrue(one.getValue().get("int4_loss").asDouble() > 0, one.getKey());
      sum += one.getValue().get("loss").asDouble();
      formats.addAll(one.getValue().get("formats").propertyNames());
    }
    assertTrue(report.get("classes").has("embedding.weight"), report::toString);
    assertTrue(report.get("classes").has("layers.*.attention.query.weight"), report::toString);
    assertTrue(report.get("classes").has(EXPERTS), report::toString);
    assertTrue(formats.size() > 1, formats::toString);
    assertEquals(report.get("expected_loss").asDouble(), sum, 1e-12);
    // Less is lost than with one format of as many bits.
    JsonNode alike =
        quantized(model, "alike", "--to q5_0 --plan " + plan("embedding.weight", "q5_0"));
    assertTrue(
        alike.get("bytes_after").asLong() >= report.get("bytes_after").asLong(), alike::toString);
    assertTrue(
        report.get("kl").asDouble() < alike.get("kl").asDouble(), () -> report + "\n" + alike);
    // The choice can be repeated.
    Path written = folder.resolve("chosen").resolve("plan.json");
    quantized(model, "again", "--plan " + written);
    assertArrayEquals(weights("chosen"), weights("again"));
    // Experts that are read from the disk are in the chosen formats too.
    String onDisk = " --memory 240KiB --expert-cache " + folder.resolve("cache");
    Path again = folder.resolve("again");
    assertEquals(bits(again), bits(again, onDisk));
  }

  /** Experts that no token reaches take int8, which is known before each class is measured. */
  @Test
  void aSizeWithoutRoomForUnreachedExpertsIsRefused() throws IOException {
    Path dull = Files.writeString(folder.resolve("dull.txt"), "a".repeat(20_000));
    String options = "quantize " + model + BRIEF + "--size 185KiB --text " + dull + " --out ";
    CommandRun run = CommandRun.of((options + folder.resolve("out")).split(" +"));
    assertEquals(1, run.exitCode(), run.out());
    assertTrue(
        run.err().contains("--size asks for 185.0 KiB, but in the smallest formats the model has")
            && run.err().contains(", with int8 for experts that no token reached"),
        run.err());
  }

  private Path plan(String names, String to) throws IOException {
    return Files.writeString(
        folder.resolve("rules.json"),
        "{\"rules\": [{\"names\": \"" + names + "\", \"to\": \"" + to + "\"}]}");
  }

  @Test
  void aPlanDecidesBeforeTheChoice() throws IOException {
    Path rules = plan("embedding.weight", "keep");
    Path out = folder.resolve("kept");
    String said =
        ran("quantize " + model + BRIEF + "--size 360KiB --plan " + rules + " --out " + out).out();
    assertTrue(said.contains("matrices  "), said);
    assertTrue(said.contains("\n" + EXPERTS + "  "), said);
    assertTrue(said.lines().anyMatch(it -> it.matches("embedding.weight .* 1 keep .*")), said);
    assertTrue(said.contains("\nexpected loss: +"), said);
    assertTrue(ModelFolder.open(out).weights().bytes() <= 360 << 10, said);
    assertFalse(blocks(out).containsKey("embedding.weight"));
  }

  @Test
  void aLossIsKept() throws IOException {
    JsonNode report = quantized(model, "coarse", "--loss 2%");
    double before = report.get("bits_per_byte_before").asDouble();
    assertTrue(report.get("bits_per_byte_after").asDouble() <= 1.02 * before, report::toString);
    long int8 = quantized(model, "int8", "--to int8").get("bytes_after").asLong();
    assertTrue(report.get("bytes_after").asLong() < int8, report::toString);
  }

  /** A plan asks for more loss than is allowed: no choice for the others makes up for it. */
  @Test
  void aMissedLossIsSaid() throws IOException {
    Path out = folder.resolve("out");
    Path rules = plan("embedding.weight", "int4");
    String options = "--loss 0.001% --plan " + rules + " --out " + out;
    CommandRun run = CommandRun.of(("quantize " + model + BRIEF + options).split(" +"));
    assertEquals(1, run.exitCode(), run.out());
    assertTrue(
        run.err().contains("no choice of formats was found with a loss of at most 0.00100 %; the"),
        run.err());
    assertFalse(Files.exists(out));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          '4' is not a size | --size 4
          '0bpw' is not a size | --size 0bpw
          '5' is no percentage such as 0.5% | --loss 5
          --size asks for 953.7 MiB, but without rounding the model has 1.5 MiB: nothing is to be | --size 1GB
          give one of --to, --size and --loss | --to int4 --size 5bpw
          give one of --to, --size and --loss | --loss 1% --size 5bpw
          --size asks for 46.6 KiB, but in the smallest formats the model has | --size 1bpw
          --measure must not be 0 | --loss 1% --measure 0
          --imatrix-out must end in .gguf | --to int4 --imatrix-out there.dat
          an importance matrix has the names of a GGUF file, which no model like this has: | --to int4 --imatrix-out there.gguf
          """)
  void badInputIsRefusedInASentence(String part, String options) throws IOException {
    Path out = folder.resolve("out");
    CommandRun run =
        CommandRun.of(("quantize " + model + " --out " + out + " " + options).split(" "));
    assertTrue(run.exitCode() == 1 || run.exitCode() == 2, run.out());
    assertEquals(1, run.err().lines().count(), run.err());
    assertTrue(run.err().contains(part), run.err());
    assertFalse(Files.exists(out));
  }

  /** A file replaces the calibration; only measuring then needs the text. */
  @Test
  void anImportanceMatrixReplacesTheText() throws IOException {
    Path matrix = folder.resolve("imatrix.gguf");
    JsonNode first = quantized(dense, "first", "--to q4_0 --imatrix-out " + matrix);
    JsonNode second = quantized(dense, "second", "--to q4_0 --imatrix " + matrix);
    assertEquals(first.get("kl").asDouble(), second.get("kl").asDouble(), 1e-6);
    assertEquals(first.get("calibration_tokens"), second.get("calibration_tokens"));
    assertEquals(matrix.toString(), second.get("calibrated_on").asString());
    assertEquals(text.toString(), second.get("measured_on").asString());
    Files.delete(dense.resolve("text.json"));
    ran(
        "quantize "
            + dense
            + " --to q4_0 --measure 0 --imatrix "
            + matrix
            + " --out "
            + folder.resolve("third"));
    assertArrayEquals(weights("second"), weights("third"));
  }

  /** A GGUF file has the blocks byte for byte, and computes the same numbers. */
  @Test
  void aMixIsExported() throws IOException {
    quantized(dense, "chosen", "--size 6bpw --text " + text);
    Path file = folder.resolve("mix.gguf");
    CommandRun run = ran("export " + folder.resolve("chosen") + " --to gguf --out " + file);
    assertFalse(run.err().contains("several formats"), run.err());
    Map<String, DType> before = blocks(folder.resolve("chosen"));
    assertTrue(new HashSet<>(before.values()).size() > 1, before::toString);
    assertEquals(before, blocks(file));
    assertEquals(bits(folder.resolve("chosen")), bits(file), 1e-12);
  }

  private static Map<String, DType> blocks(Path path) {
    ModelFolder opened = ModelFolder.open(path);
    return opened.weights().blocks(opened.config());
  }

  private static double bits(Path path, String... options) throws IOException {
    String command = "eval " + path + " --json --text " + text + String.join("", options);
    return JSON.readTree(ran(command).out()).get("bits_per_byte").asDouble();
  }

  /** A GGUF tensor has one format for all its experts. */
  @Test
  void expertsInSeveralFormatsAreWidenedWithANotice() throws IOException {
    Path rules =
        Files.writeString(
            folder.resolve("rules.json"),
            "{\"rules\": [{\"experts\": \"0\", \"layers\": \"1\", \"to\": \"q5_0\"}]}");
    quantized(dense, "mixed", "--to q4_0 --plan " + rules + " --text " + text);
    Path file = folder.resolve("mixed.gguf");
    CommandRun run = ran("export " + folder.resolve("mixed") + " --to gguf --out " + file);
    assertTrue(
        run.err().contains("3 tensors in blocks of several formats")
            && run.err().contains("the first: blk.1.ffn_gate_exps.weight"),
        run.err());
    Map<String, DType> blocks = blocks(file);
    assertEquals(DType.Q8_0, blocks.get("layers.1.moe.experts.0.up.weight"));
    assertEquals(DType.Q4_0, blocks.get("layers.0.moe.experts.0.up.weight"));
    assertEquals(bits(folder.resolve("mixed")), bits(file), 1e-3);
  }
}

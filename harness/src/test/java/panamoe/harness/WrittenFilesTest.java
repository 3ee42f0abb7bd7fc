package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What each earlier version wrote, and what its commands then said of it, by {@code
 * ci/release.d/written}: this version reads the same from it (docs/versioning.md).
 */
class WrittenFilesTest {
  private static final Path WRITTEN = Path.of("src/test/resources/written");
  private static final JsonMapper JSON = JsonMapper.shared();

  @TempDir private Path folder;

  /** The folders of the versions; 0.1.0 is the first. */
  private static List<Path> versions() throws IOException {
    try (Stream<Path> folders = Files.list(WRITTEN)) {
      List<Path> versions = folders.sorted().toList();
      assertTrue(versions.contains(WRITTEN.resolve("0.1.0")), versions.toString());
      return versions;
    }
  }

  /** Commands leave files in a run's folder, so each test has a copy. */
  private void copy(Path written) throws IOException {
    try (Stream<Path> files = Files.walk(written)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path copy = folder.resolve(written.relativize(file).toString());
        Files.createDirectories(copy.getParent());
        Files.copy(file, copy);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("versions")
  void aRunWritesTheTextAndHasTheBitsPerByteOfThen(Path written) throws IOException {
    isAsThen(written, "run", "generated.json", "scored.json");
  }

  @ParameterizedTest
  @MethodSource("versions")
  void soDoesAQuantizedModel(Path written) throws IOException {
    isAsThen(written, "quantized", "generated-quantized.json", "scored-quantized.json");
  }

  private void isAsThen(Path written, String model, String generated, String scored)
      throws IOException {
    copy(written);
    JsonNode text = then(generated);
    JsonNode now =
        JSON.readTree(
            passes(
                "generate",
                folder.resolve(model),
                "--temperature",
                "0",
                "--json",
                "--prompt",
                text.get("prompt").asString(),
                "--max-tokens",
                text.get("tokens").asString()));
    assertEquals(text.get("text"), now.get("text"));
    JsonNode score =
        JSON.readTree(
            passes("eval", folder.resolve(model), "--text", folder.resolve("text.txt"), "--json"));
    assertEquals(then(scored).get("tokens"), score.get("tokens"));
    assertEquals(
        then(scored).get("bits_per_byte").asDouble(), score.get("bits_per_byte").asDouble(), 1e-4);
  }

  /** The second step's loss comes of the optimizer's moments. */
  @ParameterizedTest
  @MethodSource("versions")
  void aRunGoesOnWithTheLossesOfThenOnItsPreparedTokens(Path written) throws IOException {
    copy(written);
    List<String> then = Files.readAllLines(written.resolve("resumed.jsonl"));
    int last = JSON.readTree(then.getLast()).get("step").asInt();
    Path run = folder.resolve("run");
    passes("train", "--out", run, "--resume", "--steps", last, "--data", folder.resolve("tokens"));
    List<String> now = Files.readAllLines(run.resolve("metrics.jsonl"));
    assertEquals(last, now.size());
    for (String line : then) {
      JsonNode step = JSON.readTree(line);
      JsonNode again = JSON.readTree(now.get(step.get("step").asInt() - 1));
      for (String key : List.of("step", "loss", "grad_norm", "learning_rate")) {
        assertEquals(step.get(key).asDouble(), again.get(key).asDouble(), 1e-3, key);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("versions")
  void aCalibrationIsPlannedWith(Path written) throws IOException {
    copy(written);
    JsonNode calibration = then("calibration.json");
    JsonNode plan =
        JSON.readTree(
            passes(
                "plan",
                "serve",
                folder.resolve("run"),
                "--cluster",
                folder.resolve("calibration.json"),
                "--dtype",
                "f32",
                "--json"));
    assertEquals(
        calibration.at("/efficiency/layer/value"),
        plan.at("/constants/layer/value"),
        plan.toString());
    assertTrue(plan.at("/front/0/latency_ms").asDouble() > 0, plan.toString());
  }

  private JsonNode then(String file) throws IOException {
    return JSON.readTree(folder.resolve(file).toFile());
  }

  private static String passes(Object... words) {
    CommandRun run = CommandRun.of(Stream.of(words).map(Object::toString).toArray(String[]::new));
    assertEquals(0, run.exitCode(), run.err());
    return run.out();
  }
}

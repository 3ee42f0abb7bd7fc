package panamoe.harness.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.OptionalDouble;
import panamoe.io.StrictJson;
import panamoe.train.StepMetrics;

/**
 * {@code metrics.jsonl} of a run: a JSON object a step, in the order of the steps. A process that dies may leave a line
 * torn, and whoever looks into the file may change it; a line that is no step counts for nothing here.
 */
record MetricsFile(Path path) {
  static final String NAME = "metrics.jsonl";

  static MetricsFile of(Path run) {
    return new MetricsFile(run.resolve(NAME));
  }

  /** Appends a step's line. */
  void append(StepMetrics metrics) throws IOException {
    Files.writeString(path, metrics.toJson() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  /** The last step that is written down; 0 where there is none. */
  long lastStep() throws IOException {
    return lines().reversed().stream().mapToLong(MetricsFile::step).filter(step -> step > 0).findFirst().orElse(0);
  }

  /** What the validation after the last step gave; empty where there was none, or the step's line is torn. */
  OptionalDouble lastValidation() throws IOException {
    List<String> lines = lines();
    JsonNode bits = lines.isEmpty() ? null : parsed(lines.getLast()).get("validation_bits_per_byte");
    return bits == null ? OptionalDouble.empty() : OptionalDouble.of(bits.asDouble());
  }

  /**
   * The lines of the steps up to {@code step}, as one text: what remains when those after it are to be trained again.
   */
  String upTo(long step) throws IOException {
    StringBuilder kept = new StringBuilder();
    for (String line : lines()) {
      long of = step(line);
      if (of > 0 && of <= step) {
        kept.append(line).append('\n');
      }
    }
    return kept.toString();
  }

  /** Bytes that are not UTF-8 make a line that is no JSON, not a file that cannot be read. */
  private List<String> lines() throws IOException {
    return Files.exists(path)
        ? new String(Files.readAllBytes(path), StandardCharsets.UTF_8).lines().toList()
        : List.of();
  }

  /** The step of a line; 0 where it has none. */
  private static long step(String line) {
    JsonNode step = parsed(line).path("step");
    return step.isIntegralNumber() ? step.asLong() : 0;
  }

  private static JsonNode parsed(String line) {
    try {
      return StrictJson.tree(line.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      return MissingNode.getInstance();
    }
  }
}

package panamoe.harness.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import panamoe.io.FileTrouble;
import panamoe.io.StrictJson;
import panamoe.train.StepMetrics;

/**
 * {@code metrics.jsonl} of a run: a JSON object a step, in the order of the steps. A process that dies may leave a line
 * torn, and whoever looks into the file may change it; a line that is no step counts for nothing here.
 */
record MetricsFile(Path path) {
  static final String NAME = "metrics.jsonl";
  private static final String VALIDATION = "validation_bits_per_byte";

  static MetricsFile of(Path run) {
    return new MetricsFile(run.resolve(NAME));
  }

  /** Appends a step's line. */
  void append(StepMetrics metrics) throws IOException {
    try {
      Files.writeString(path, metrics.toJson() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw FileTrouble.naming(path, e);
    }
  }

  /** The last step that is written down; 0 where there is none. */
  long lastStep() throws IOException {
    return lines().reversed().stream().mapToLong(line -> step(parsed(line))).filter(step -> step > 0).findFirst()
        .orElse(0);
  }

  /** Bits per byte of the validation after {@code step}; empty where there was none, or its line is torn or missing. */
  OptionalDouble validation(long step) throws IOException {
    return lines().reversed().stream()
        .map(MetricsFile::parsed)
        .filter(line -> step(line) == step && line.has(VALIDATION))
        .mapToDouble(line -> line.get(VALIDATION).asDouble())
        .findFirst();
  }

  /** The lines of the steps up to {@code step}: what remains when those after it are to be trained again. */
  byte[] upTo(long step) throws IOException {
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    for (byte[] line : lines()) {
      long of = step(parsed(line));
      if (of > 0 && of <= step) {
        kept.writeBytes(line);
        kept.write('\n');
      }
    }
    return kept.toByteArray();
  }

  /** As bytes: a line that is not UTF-8 is no step, and no reason to refuse the others. */
  private List<byte[]> lines() throws IOException {
    byte[] all = Files.exists(path) ? Files.readAllBytes(path) : new byte[0];
    List<byte[]> lines = new ArrayList<>();
    for (int begin = 0, end; begin < all.length; begin = end + 1) {
      for (end = begin; end < all.length && all[end] != '\n'; ) {
        end++;
      }
      lines.add(Arrays.copyOfRange(all, begin, end));
    }
    return lines;
  }

  /** The step of a line; 0 where it has none. */
  private static long step(JsonNode line) {
    JsonNode step = line.path("step");
    return step.isIntegralNumber() ? step.asLong() : 0;
  }

  private static JsonNode parsed(byte[] line) {
    try {
      return StrictJson.tree(line);
    } catch (IOException e) {
      return MissingNode.getInstance();
    }
  }
}

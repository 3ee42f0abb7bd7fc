package panamoe.harness.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import panamoe.io.PlainFolder;
import panamoe.io.StrictJson;
import panamoe.train.StepMetrics;

/**
 * {@code metrics.jsonl} of a run: a JSON object a step, in the order of the steps. A process that
 * dies may leave a line torn, and whoever looks into the file may change it; a line that is no step
 * counts for nothing here.
 */
record MetricsFile(PlainFolder run) {
  static final String NAME = "metrics.jsonl";
  private static final String VALIDATION = "validation_bits_per_byte";

  Path path() {
    return run.path().resolve(NAME);
  }

  /** Appends a step's line; it is durable after {@link #force}. */
  void append(StepMetrics metrics) throws IOException {
    run.append(NAME, (metrics.toJson() + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Forces all lines to the disk: before the checkpoint of the last one's step, so that none is
   * lost that it needs.
   */
  void force() throws IOException {
    if (run.has(NAME)) {
      run.forceFile(NAME);
    }
  }

  /** The last step that is written down; 0 where there is none. */
  long lastStep() throws IOException {
    return lines().reversed().stream()
        .mapToLong(line -> step(parsed(line)))
        .filter(step -> step > 0)
        .findFirst()
        .orElse(0);
  }

  /**
   * Bits per byte of the validation after {@code step}; empty where there was none, or its line is
   * torn or missing.
   */
  OptionalDouble validation(long step) throws IOException {
    return lines().reversed().stream()
        .map(MetricsFile::parsed)
        .filter(line -> step(line) == step && line.has(VALIDATION))
        .mapToDouble(line -> line.get(VALIDATION).asDouble())
        .findFirst();
  }

  /**
   * The lines of the steps up to {@code step}: what remains when those after it are to be trained
   * again.
   */
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
    byte[] all = run.has(NAME) ? run.read(NAME) : new byte[0];
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

package panamoe.harness.train;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import panamoe.harness.report.RunDirectory;
import panamoe.io.SafeFolder;
import panamoe.io.StrictJson;
import panamoe.train.PairMetrics;
import panamoe.train.RunFolder;
import panamoe.train.StepMetrics;
import panamoe.train.Validation;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/**
 * The {@code metrics.jsonl} of a run: one JSON object per step, in order. A process that dies may
 * leave a partial line, and a user may edit the file; a line that is not a step is ignored.
 */
record MetricsFile(SafeFolder run) {
  static final String NAME = RunFolder.METRICS;
  private static final String VALIDATION = "validation_bits_per_byte";

  Path path() {
    return run.path().resolve(NAME);
  }

  /** Appends a step's line; durable after {@link #force}. */
  void append(StepMetrics metrics) throws IOException {
    run.append(NAME, (metrics.toJson() + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Forces all lines to the disk. Call it before saving the checkpoint of the last line's step, so
   * that no line of a saved step is lost.
   */
  void force() throws IOException {
    if (run.has(NAME)) {
      run.forceFile(NAME);
    }
  }

  /** The last step in the file; 0 if it has no step. */
  long lastStep() throws IOException {
    return lines().reversed().stream()
        .mapToLong(line -> step(parsed(line)))
        .filter(step -> step > 0)
        .findFirst()
        .orElse(0);
  }

  /**
   * The score of the validation after {@code step}; empty if there was none, or its line is damaged
   * or missing.
   */
  Optional<Validation.Score> validation(long step) throws IOException {
    return lines().reversed().stream()
        .map(MetricsFile::parsed)
        .filter(line -> step(line) == step && line.has(VALIDATION))
        .map(MetricsFile::score)
        .findFirst();
  }

  private static Validation.Score score(JsonNode line) {
    JsonNode loss = line.path("validation_loss");
    PairMetrics pairs =
        loss.isMissingNode()
            ? null
            : new PairMetrics(
                loss.asDouble(0),
                line.path("validation_reward_margin").asDouble(0),
                line.path("validation_pair_accuracy").asDouble(0));
    return new Validation.Score(line.get(VALIDATION).asDouble(0), pairs);
  }

  /** Removes the lines after {@code step}; those steps will be trained again. */
  void rewind(long step) throws IOException {
    if (run.has(NAME)) {
      run.replace(NAME, upTo(step));
    }
  }

  /** The lines of the steps up to {@code step}. */
  byte[] upTo(long step) throws IOException {
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    for (byte[] line : lines()) {
      long of = step(parsed(line));
      if (of > 0 && of <= step && RunDirectory.isStep(line)) {
        kept.writeBytes(line);
        kept.write('\n');
      }
    }
    return kept.toByteArray();
  }

  /** As bytes: a line that is not UTF-8 must not prevent reading the others. */
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

  /** The step of a line; 0 if it has none. */
  private static long step(JsonNode line) {
    JsonNode step = line.path("step");
    return step.isIntegralNumber() ? step.asLong(0) : 0;
  }

  private static JsonNode parsed(byte[] line) {
    try {
      return StrictJson.tree(line);
    } catch (JacksonException e) {
      return MissingNode.getInstance();
    }
  }
}

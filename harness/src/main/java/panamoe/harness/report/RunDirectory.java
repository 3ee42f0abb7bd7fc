package panamoe.harness.report;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import panamoe.io.Require;
import panamoe.io.SafeFolder;
import panamoe.train.History;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TrainingProcess;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;

/**
 * The files of a training run that a report reads.
 *
 * @param config {@code config.json}
 * @param steps {@code metrics.jsonl}, one or more
 * @param routing {@code routing.json}, if the run wrote it
 * @param samples {@code samples.json}, generated texts; empty without the file
 * @param reading {@code reading.json}, validation texts; empty without the file
 * @param history {@code history.json}; empty without the file
 */
public record RunDirectory(
    Path path,
    RunConfig config,
    List<StepRecord> steps,
    Optional<Routing> routing,
    List<RoutedText> samples,
    List<RoutedText> reading,
    List<TrainingProcess> history) {

  private static final JsonMapper JSON =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  /**
   * Reads a run's folder.
   *
   * @throws IOException if {@code config.json} or {@code metrics.jsonl} is missing or unreadable
   * @throws IllegalArgumentException if a file's content is invalid; the message names the file and
   *     the line
   */
  public static RunDirectory read(Path path) throws IOException {
    SafeFolder files = new SafeFolder(path);
    RunConfig config = RunFolder.config(path);
    List<StepRecord> steps = readSteps(files.file(RunFolder.METRICS));
    return new RunDirectory(
        path,
        config,
        steps,
        routing(files),
        texts(files.file(RunFolder.SAMPLES)),
        texts(files.file(RunFolder.READING)),
        new History(files).processes());
  }

  /**
   * Refuses a run that could be trained further but not be reported.
   *
   * @throws IllegalArgumentException if a file other than config and metrics is invalid; the
   *     message names it
   */
  public static void requireReadable(SafeFolder files) throws IOException {
    routing(files);
    texts(files.file(RunFolder.SAMPLES));
    texts(files.file(RunFolder.READING));
    new History(files).processes();
  }

  /** Whether a line of {@code metrics.jsonl} is a step. */
  public static boolean isStep(byte[] line) {
    try {
      parse(new String(line, StandardCharsets.UTF_8), StepRecord.class, "");
      return true;
    } catch (IllegalArgumentException _) {
      return false;
    }
  }

  private static Optional<Routing> routing(SafeFolder files) throws IOException {
    return readOptional(files.file(RunFolder.ROUTING), Routing.class);
  }

  private static List<RoutedText> texts(Path file) throws IOException {
    RoutedText[] texts = readOptional(file, RoutedText[].class).orElse(new RoutedText[0]);
    if (Arrays.asList(texts).contains(null)) {
      throw foreign(file.toString(), "", null);
    }
    return List.of(texts);
  }

  /** Seconds of all steps. */
  public double trainingSeconds() {
    double seconds = 0;
    long before = 0;
    for (StepRecord step : steps) {
      seconds += step.tokensPerS() > 0 ? (step.tokens() - before) / step.tokensPerS() : 0;
      before = step.tokens();
    }
    return seconds;
  }

  private static List<StepRecord> readSteps(Path file) throws IOException {
    List<StepRecord> steps = new ArrayList<>();
    int number = 0;
    for (String line :
        new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList()) {
      number++;
      if (line.contains("\uFFFD")) { // the decoder replaced bytes that are not UTF-8
        throw new IllegalArgumentException(file + ", line " + number + ": it is not UTF-8");
      }
      if (!line.isBlank()) {
        StepRecord step = parse(line, StepRecord.class, file + ", line " + number);
        if (!steps.isEmpty() && step.layers().size() != steps.getFirst().layers().size()) {
          throw new IllegalArgumentException(
              file + ", line " + number + ": another number of MoE layers than before");
        }
        steps.add(step);
      }
    }
    Require.that(!steps.isEmpty(), "%s is empty: no step was trained", file);
    return steps;
  }

  private static <T> Optional<T> readOptional(Path file, Class<T> type) throws IOException {
    return Files.exists(file)
        ? Optional.of(
            parse(
                new String(Files.readAllBytes(file), StandardCharsets.UTF_8),
                type,
                file.toString()))
        : Optional.empty();
  }

  private static <T> T parse(String json, Class<T> type, String where) {
    try {
      T parsed = JSON.readValue(json, type);
      if (parsed == null) {
        throw foreign(where, "", null);
      }
      return parsed;
    } catch (JacksonException e) {
      // A record's own words are for people, and Jackson's for programmers.
      boolean refused = e.getCause() instanceof IllegalArgumentException;
      throw foreign(where, refused ? " (" + e.getCause().getMessage() + ")" : "", e);
    }
  }

  private static IllegalArgumentException foreign(String where, String detail, Throwable cause) {
    return new IllegalArgumentException(
        where + ": this is not what a training run writes there" + detail, cause);
  }
}

package panamoe.harness.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import panamoe.io.PlainFolder;
import panamoe.train.RunConfig;

/**
 * The files of a training run that the report needs.
 *
 * @param config {@code config.json}
 * @param steps {@code metrics.jsonl}, one or more
 * @param routing {@code routing.json}, if the run wrote it
 * @param samples {@code samples.json}, empty if the run wrote none
 */
public record RunDirectory(
    Path path,
    RunConfig config,
    List<StepRecord> steps,
    Optional<Routing> routing,
    List<Sample> samples) {

  /** Text that the trained model wrote. */
  public record Sample(String prompt, String text) {}

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /**
   * Reads a run's folder.
   *
   * @throws IOException if {@code config.json} or {@code metrics.jsonl} is missing or unreadable
   * @throws IllegalArgumentException if a file's content is invalid; the message names the file and
   *     the line
   */
  public static RunDirectory read(Path path) throws IOException {
    PlainFolder files = new PlainFolder(path);
    RunConfig config = RunConfig.read(files.file("config.json"));
    List<StepRecord> steps = readSteps(files.file("metrics.jsonl"));
    Optional<Routing> routing =
        readOptional(files.file("routing.json"), new TypeReference<Routing>() {});
    List<Sample> samples =
        readOptional(files.file("samples.json"), new TypeReference<List<Sample>>() {})
            .orElse(List.of());
    return new RunDirectory(path, config, steps, routing, samples);
  }

  private static List<StepRecord> readSteps(Path file) throws IOException {
    List<StepRecord> steps = new ArrayList<>();
    int number = 0;
    for (String line :
        new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList()) {
      number++;
      if (line.contains("\uFFFD")) { // decoding replaced bytes that are not UTF-8
        throw new IllegalArgumentException(file + ", line " + number + ": it is not UTF-8");
      }
      if (!line.isBlank()) {
        StepRecord step =
            parse(line, new TypeReference<StepRecord>() {}, file + ", line " + number);
        if (!steps.isEmpty() && step.layers().size() != steps.getFirst().layers().size()) {
          throw new IllegalArgumentException(
              file + ", line " + number + ": another number of MoE layers than before");
        }
        steps.add(step);
      }
    }
    if (steps.isEmpty()) {
      throw new IllegalArgumentException(file + " is empty: no step was trained");
    }
    return steps;
  }

  private static <T> Optional<T> readOptional(Path file, TypeReference<T> type) throws IOException {
    return Files.exists(file)
        ? Optional.of(parse(Files.readString(file), type, file.toString()))
        : Optional.empty();
  }

  private static <T> T parse(String json, TypeReference<T> type, String where) {
    try {
      return JSON.readValue(json, type);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(where + ": " + e.getOriginalMessage(), e);
    }
  }
}

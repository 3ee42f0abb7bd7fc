package panamoe.lab.study;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import panamoe.data.Corpus;
import panamoe.harness.Main;
import panamoe.harness.train.TrainingText;
import panamoe.io.WholeOrNothing;
import panamoe.io.Words;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Measures finished runs by {@code panamoe eval} and {@code edit}, on tasks made from the corpus
 * and on the validation text. What is measured stays in the study's folder.
 */
record CommandMeasurements(Trainings trainings) implements Measurements {
  private static final String CALIBRATION = "calibration.txt";
  private static final String TASKS = "tasks";

  /** About as many tokens as the validation that bits per byte are of. */
  private static final int CALIBRATION_PASSAGES = 200;

  @Override
  public double accuracy(StudyRun run) {
    Path tasks = trainings.folder().resolve(TASKS);
    if (!Files.exists(tasks)) {
      json(List.of("data", "tasks", "--out", tasks.toString()));
    }
    Path place = trainings.place(run);
    return json(List.of(
            "eval", place.toString(), "--tasks", tasks.resolve("word.jsonl").toString()))
        .get("accuracy")
        .asDouble();
  }

  @Override
  public double prunedBits(StudyRun run, int percent, String by) {
    Path place = trainings.place(run);
    Path pruned =
        trainings.folder().resolve(Words.of("%s-without-%d-by-%s", run.name(), percent, by));
    if (Files.exists(pruned)) {
      return bits(JsonMapper.shared().readTree(pruned.resolve("edit.json").toFile()));
    }
    return bits(
        json(
            List.of(
                "edit",
                place.toString(),
                "--prune-experts",
                percent + "%",
                "--by",
                by,
                "--calibrate",
                calibration().toString(),
                "--out",
                pruned.toString())));
  }

  private static double bits(JsonNode report) {
    return report.get("after").get("validation_bits_per_byte").asDouble();
  }

  /** A part of the training text: experts are not chosen on the text that is measured. */
  private Path calibration() {
    Path file = trainings.folder().resolve(CALIBRATION);
    if (!Files.exists(file)) {
      try {
        List<String> passages =
            TrainingText.europarl(Set.of()).corpus().passages(Corpus.Part.TRAINING);
        int every = Math.max(1, passages.size() / CALIBRATION_PASSAGES);
        List<String> some = new ArrayList<>();
        for (int i = 0; i < passages.size(); i += every) {
          some.add(passages.get(i));
        }
        WholeOrNothing.make(file, hidden -> Files.write(hidden, some, UTF_8));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return file;
  }

  /** The first JSON line that a command prints; null if it prints none. */
  private JsonNode json(List<String> command) {
    List<String> arguments = new ArrayList<>(command);
    arguments.addAll(trainings.options());
    arguments.add("--json");
    StringWriter printed = new StringWriter();
    int exitCode =
        Main.commandLine()
            .setOut(new PrintWriter(printed))
            .setErr(trainings.err())
            .execute(arguments.toArray(String[]::new));
    if (exitCode != CommandLine.ExitCode.OK) {
      throw new UncheckedIOException(
          new IOException(
              "panamoe " + command.getFirst() + " failed; the study goes on next time"));
    }
    return printed.toString().lines().findFirst().map(JsonMapper.shared()::readTree).orElse(null);
  }
}

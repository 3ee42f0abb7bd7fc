package panamoe.lab.study;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.ToDoubleFunction;
import panamoe.harness.report.RunDirectory;
import panamoe.io.SafeFolder;
import panamoe.io.Words;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.json.JsonMapper;

/**
 * The figures of each run in a file of its own. What is not measured yet is measured when it is
 * asked for, and a run is trained for that only if it has to be.
 *
 * @param folder for the files
 * @param known a folder of such files from an earlier study, taken over; null for none
 */
record FigureFiles(Path folder, Path known, Trainings trainings, Measurements commands)
    implements Measurements {
  private static final JsonMapper JSON =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  /**
   * Whether a run need not be trained for its own figures.
   *
   * @throws IllegalArgumentException if its file is of another run
   */
  boolean has(StudyRun run) {
    return read(folder, run) != null || known != null && read(known, run) != null;
  }

  /** The figures of a run that is trained or known. */
  RunFigures of(StudyRun run) {
    RunFigures figures = read(folder, run);
    if (figures != null) {
      return figures;
    }
    figures = known == null ? null : read(known, run);
    if (figures == null) {
      try {
        figures = RunFigures.of(run, RunDirectory.read(trainings.place(run)).steps());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return write(figures);
  }

  @Override
  public double accuracy(StudyRun run) {
    return measured(run, "accuracy", commands::accuracy);
  }

  @Override
  public double prunedBits(StudyRun run, int percent, String by) {
    return measured(
        run,
        Words.of("bits_without_%d_by_%s", percent, by),
        trained -> commands.prunedBits(trained, percent, by));
  }

  private double measured(StudyRun run, String name, ToDoubleFunction<StudyRun> measure) {
    RunFigures figures = of(run);
    if (!figures.measured().containsKey(name)) {
      try {
        trainings.train(run);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
        throw new UncheckedIOException(new InterruptedIOException());
      }
      figures = write(figures.with(name, measure.applyAsDouble(run)));
    }
    return figures.measured().get(name);
  }

  private static RunFigures read(Path folder, StudyRun run) {
    Path file = folder.resolve(fileOf(run.name()));
    if (!Files.exists(file)) {
      return null;
    }
    RunFigures figures = null;
    try {
      figures = JSON.readValue(file.toFile(), RunFigures.class);
    } catch (JacksonException _) {
      // refused below
    }
    if (figures == null || !figures.isOf(run)) {
      throw new IllegalArgumentException(
          file + " is not of the run that the study has now; remove it");
    }
    return figures;
  }

  private RunFigures write(RunFigures figures) {
    try {
      SafeFolder files = new SafeFolder(folder);
      files.make();
      files.replace(
          fileOf(figures.run()),
          (JSON.writeValueAsString(figures) + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return figures;
  }

  private static String fileOf(String run) {
    return run + ".json";
  }
}

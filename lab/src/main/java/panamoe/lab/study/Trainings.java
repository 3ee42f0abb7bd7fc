package panamoe.lab.study;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointStore;
import panamoe.harness.Main;
import panamoe.io.FileErrors;
import panamoe.open.ModelFolder;
import panamoe.train.RunConfig;
import picocli.CommandLine;

/**
 * Trains runs by {@code panamoe train} and {@code distill}, each in its own folder. Finished runs
 * are not repeated; others resume from their last checkpoint.
 *
 * @param options of every command
 */
record Trainings(Path folder, List<String> options, PrintWriter err) {
  private static final String CONFIG = "config.json";

  /** The step of a run's last checkpoint; 0 if it has none. */
  long stepsDone(StudyRun run) {
    Path checkpoints = place(run).resolve(ModelFolder.CHECKPOINTS);
    return Files.isDirectory(checkpoints)
        ? new CheckpointStore(checkpoints, 1).openLatest().map(Checkpoint::step).orElse(0L)
        : 0;
  }

  /**
   * Refuses a run whose folder has other settings, such as those of an earlier version of the
   * study.
   *
   * @throws IllegalArgumentException that names the run
   */
  void requireSame(StudyRun run) {
    Path config = place(run).resolve(CONFIG);
    if (Files.exists(config) && !RunConfig.read(config).equals(run.config())) {
      throw new IllegalArgumentException(
          place(run)
              + " was trained with other settings than the study has now; remove it, or choose another --out");
    }
  }

  /**
   * Trains a run to its end, and its teacher before it.
   *
   * @throws IOException if it fails; the error stream has the reason
   * @throws InterruptedException if interrupted; its progress is saved
   */
  void train(StudyRun run) throws IOException, InterruptedException {
    if (stepsDone(run) >= run.steps()) {
      return;
    }
    if (run.teacher() != null) {
      train(run.teacher());
    }
    int exitCode =
        Main.commandLine()
            .setOut(new PrintWriter(Writer.nullWriter()))
            .setErr(err)
            .execute(arguments(run).toArray(String[]::new));
    if (Thread.interrupted() || exitCode == Main.INTERRUPTED) {
      throw new InterruptedException();
    }
    if (exitCode != CommandLine.ExitCode.OK) {
      throw new IOException(
          "the run " + run.name() + " failed; the study goes on with it next time");
    }
  }

  private List<String> arguments(StudyRun run) throws IOException {
    List<String> arguments = new ArrayList<>();
    arguments.add(run.teacher() == null ? "train" : "distill");
    arguments.addAll(List.of("--out", place(run).toString()));
    arguments.addAll(options);
    if (Files.exists(place(run).resolve(CONFIG))) {
      arguments.add("--resume");
      return arguments;
    }
    Files.createDirectories(folder);
    Path config = folder.resolve(run.name() + ".json");
    try {
      Files.writeString(config, run.config().toJson());
    } catch (IOException e) {
      throw FileErrors.naming(config, e);
    }
    arguments.addAll(List.of("--config", config.toString()));
    if (run.teacher() == null) {
      arguments.addAll(List.of("--vocabulary", Integer.toString(Shapes.VOCABULARY)));
    } else {
      arguments.addAll(List.of("--teacher", place(run.teacher()).toString()));
    }
    return arguments;
  }

  /** The folder of a run. */
  Path place(StudyRun run) {
    return folder.resolve(run.name());
  }
}

package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.data.ByteTokenizer;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;

/** A short run, for tests that disturb it. */
final class TinyRun {
  private TinyRun() {}

  /** Writes the config of a tiny model that is saved after every second step. */
  static Path config(Path folder, int steps) throws IOException {
    RunConfig preset =
        Presets.run(
            Size.TINY,
            Architecture.PR_MOE,
            Presets.Chosen.steps(steps),
            DType.FLOAT32,
            false,
            new ByteTokenizer().vocabularySize(),
            1);
    return Files.writeString(
        folder.resolve("config.json"),
        preset.toJson().replaceAll("\"checkpointEvery\" : \\d+", "\"checkpointEvery\" : 2"));
  }
}

package panamoe.harness.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.open.ModelFolder;
import panamoe.plan.NamedModels;
import panamoe.train.RunConfig;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The model of {@code plan} and {@code twin}, whose weights are not needed. */
final class DescribedModelOptions {
  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      hideParamSyntax = true,
      description =
          "A model of the paper, a run's folder, or a released model's folder or .gguf file. No weights are read.")
  private String model;

  @Option(
      names = {"-m", "--model"},
      hidden = true)
  private String named;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Instead of MODEL: a config.json as for train --config.")
  private Path config;

  boolean none() {
    return given() == 0;
  }

  /** True if the model is given exactly once. */
  boolean one() {
    return given() == 1;
  }

  private long given() {
    return Stream.<Object>of(model, named, config).filter(Objects::nonNull).count();
  }

  String name() {
    return config != null ? config.toString() : model != null ? model : named;
  }

  /** The settings of {@code --config}; null without it. */
  RunConfig run() {
    return config == null ? null : RunConfig.read(config);
  }

  /**
   * Reads the model's configuration, and no weights.
   *
   * @param blocks receives the model's folder or file if its weights are quantized
   * @throws IllegalArgumentException if there is no such model; the message lists the names
   * @throws CheckpointException if the folder or file is not a model
   */
  ModelConfig described(Consumer<Path> blocks) {
    if (config != null) {
      return run().model();
    }
    Path path = Path.of(name());
    if (name().isBlank() || !Files.exists(path)) {
      return NamedModels.of(name());
    }
    ModelFolder folder = ModelFolder.open(path);
    if (hasBlocks(folder)) {
      blocks.accept(path);
    }
    return folder.config();
  }

  private static boolean hasBlocks(ModelFolder folder) {
    try {
      return !folder.weights().blocks(folder.config()).isEmpty();
    } catch (CheckpointException _) {
      return false; // only the configuration is needed
    }
  }
}

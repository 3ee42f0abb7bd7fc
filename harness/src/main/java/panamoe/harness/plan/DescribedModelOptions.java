package panamoe.harness.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.config.ModelConfig;
import panamoe.harness.HubModels;
import panamoe.model.family.ReleasedModel;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.plan.NamedModels;
import panamoe.train.RunConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The model of {@code plan} and {@code twin}, whose weights are not needed. */
final class DescribedModelOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      hideParamSyntax = true,
      description =
          "A model of the paper, a run's folder, or a released model's folder, .gguf file or name. No weights are read, and of a named folder only its configuration is fetched.")
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

  @Mixin HubModels names;

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
   * @param blocks receives the model's name or path if its weights are quantized
   * @throws IllegalArgumentException if there is no such model; the message lists the names
   * @throws CheckpointException if the folder or file is not a model
   */
  ModelConfig described(Consumer<String> blocks) {
    if (config != null) {
      return run().model();
    }
    Path path = names.described(Path.of(name()), command);
    if (name().isBlank() || !Files.exists(path)) {
      return NamedModels.of(name());
    }
    ModelFolder folder = ModelFolder.open(path);
    if (hasBlocks(folder)) {
      blocks.accept(name());
    }
    return folder.config();
  }

  private static boolean hasBlocks(ModelFolder folder) {
    try {
      return !folder.weights().blocks(folder.config()).isEmpty();
    } catch (CheckpointException _) {
      return folder.weights() instanceof StoredWeights.Released(ReleasedModel model)
          && model.publishedConfig().filter(keys -> keys.has("quantization_config")).isPresent();
    }
  }
}

package panamoe.harness.plan;

import java.nio.file.Path;
import panamoe.train.RunConfig;
import picocli.CommandLine.Option;

/** The model of {@code plan} and {@code twin}, of which no weights are needed. */
final class DescribedModelOptions {
  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      description =
          "A model of the paper, a run's folder, or a released model's folder or .gguf file, of"
              + " which no weights are read.")
  private String model;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "In the place of --model: a config.json as train --config takes it.")
  private Path config;

  boolean none() {
    return model == null && config == null;
  }

  boolean both() {
    return model != null && config != null;
  }

  /** As it was given. */
  String name() {
    return config == null ? model : config.toString();
  }

  /** The settings of {@code --config}; null without it. */
  RunConfig run() {
    return config == null ? null : RunConfig.read(config);
  }

  /** The model that one of the two describes. */
  DescribedModel described() {
    return config == null ? DescribedModel.of(model) : new DescribedModel(run().model(), null);
  }
}

package panamoe.harness.plan;

import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import panamoe.train.RunConfig;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The model of {@code plan} and {@code twin}, of which no weights are needed. */
final class DescribedModelOptions {
  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      hideParamSyntax = true,
      description =
          "A model of the paper, a run's folder, or a released model's folder or .gguf file, of"
              + " which no weights are read.")
  private String model;

  @Option(
      names = {"-m", "--model"},
      hidden = true)
  private String named;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "In the place of MODEL: a config.json as train --config takes it.")
  private Path config;

  boolean none() {
    return given() == 0;
  }

  boolean several() {
    return given() > 1;
  }

  private long given() {
    return Stream.<Object>of(model, named, config).filter(Objects::nonNull).count();
  }

  /** As it was given. */
  String name() {
    return config == null ? modelName() : config.toString();
  }

  private String modelName() {
    return model == null ? named : model;
  }

  /** The settings of {@code --config}; null without it. */
  RunConfig run() {
    return config == null ? null : RunConfig.read(config);
  }

  /** The model that one of the two describes. */
  DescribedModel described() {
    return config == null
        ? DescribedModel.of(modelName())
        : new DescribedModel(run().model(), null);
  }
}

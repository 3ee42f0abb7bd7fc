package panamoe.harness.generate;

import java.nio.file.Path;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The model; {@code --model} is its older name: {@code @Mixin ModelArgument model}. */
final class ModelArgument {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      hideParamSyntax = true,
      description =
          "A run's folder, a checkpoint, or a released model: its folder, or a .gguf file.")
  private Path model;

  @Option(
      names = {"-m", "--model"},
      hidden = true)
  private Path named;

  /**
   * The path as it was given.
   *
   * @throws ParameterException if none is given, or both
   */
  Path path() {
    if (model != null && named != null) {
      throw new ParameterException(
          command.commandLine(), "MODEL is " + model + ", and --model " + named + "; give one");
    }
    if (model == null && named == null) {
      throw new ParameterException(command.commandLine(), "Missing required parameter: 'MODEL'");
    }
    return model == null ? named : model;
  }
}

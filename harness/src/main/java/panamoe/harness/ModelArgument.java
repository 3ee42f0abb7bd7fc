package panamoe.harness;

import java.nio.file.Path;
import panamoe.open.hub.ModelName;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The model; {@code --model} is its older name: {@code @Mixin ModelArgument model}. */
public final class ModelArgument {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      hideParamSyntax = true,
      description =
          "A run's folder, a checkpoint, or a released model: its folder, a .gguf file, or its name, as"
              + " hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M.")
  private Path model;

  @Option(
      names = {"-m", "--model"},
      hidden = true)
  private Path named;

  @Mixin private HubModels names;

  /**
   * The path of the model, which is fetched first if it is given by name and not in the cache.
   *
   * @throws ParameterException if none is given, or both, or a wrong name
   */
  public Path path() {
    return names.local(given(), command);
  }

  /** What a server calls the model: its name, or the last part of its path. */
  public String name() {
    String given = given().toString();
    Path last = given().toAbsolutePath().normalize().getFileName();
    return HubModels.name(given, command)
        .map(name -> name.toString().substring(ModelName.SCHEME.length()))
        .orElse(last == null ? "model" : last.toString());
  }

  private Path given() {
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

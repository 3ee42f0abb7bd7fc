package panamoe.harness;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.stream.StreamSupport;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panamoe completion}. */
@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = "Prints a script that completes commands and options in bash and zsh.",
    footer = {
      "",
      "Examples:",
      "  source <(panamoe completion)                                              in this shell",
      "  panamoe completion > ~/.local/share/bash-completion/completions/panamoe   in each"
    })
public final class CompletionCommand implements Subcommand {
  /** The commands that only the launcher knows. */
  private static final List<String> OF_LAUNCHER = List.of("test", "build", "clean");

  private enum Shell {
    BASH,
    ZSH
  }

  @Spec private CommandSpec spec;

  @Parameters(
      arity = "0..1",
      paramLabel = "SHELL",
      hideParamSyntax = true,
      description = "bash or zsh. Default: the script is for both.")
  private Shell shell;

  @Override
  public Integer call() {
    List<String> names = new ArrayList<>(spec.root().subcommands().keySet());
    names.addAll(OF_LAUNCHER);
    CommandSpec shown = shown(spec.root(), names);
    OF_LAUNCHER.forEach(name -> shown.addSubcommand(name, CommandSpec.create().name(name)));
    spec.commandLine().getOut().print(AutoComplete.bash("panamoe", new CommandLine(shown)));
    return CommandLine.ExitCode.OK;
  }

  /**
   * A command for picocli's script: values in lower case, and a unique label for each option,
   * because the script keeps values by label.
   *
   * @param names of all commands, the values of help's parameter
   */
  private static CommandSpec shown(CommandSpec command, Collection<String> names) {
    CommandSpec shown = CommandSpec.create().name(command.name());
    for (OptionSpec option : command.options()) {
      OptionSpec.Builder typed = option.toBuilder().paramLabel(option.longestName());
      if (option.completionCandidates() != null) {
        typed.completionCandidates(lowerCase(option.completionCandidates()));
      }
      shown.addOption(typed.build());
    }
    for (PositionalParamSpec parameter : command.positionalParameters()) {
      Iterable<String> own = parameter.completionCandidates();
      Iterable<String> candidates =
          command.userObject() instanceof HelpCommand ? names : own == null ? null : lowerCase(own);
      shown.addPositional(parameter.toBuilder().completionCandidates(candidates).build());
    }
    command
        .subcommands()
        .forEach((name, inner) -> shown.addSubcommand(name, shown(inner.getCommandSpec(), names)));
    return shown;
  }

  private static List<String> lowerCase(Iterable<String> values) {
    return StreamSupport.stream(values.spliterator(), false)
        .map(value -> value.toLowerCase(Locale.ROOT))
        .toList();
  }
}

package panamoe.harness.plan;

import java.util.List;
import java.util.Map;
import java.util.Stack;
import panamoe.harness.Subcommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.IParameterPreprocessor;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code panamoe plan}. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    preprocessor = PlanCommand.EarlierForms.class,
    description = {
      "Says what serving or training a model takes on a cluster: cards, degrees, time, before any of it is rented.",
      "All times are predictions of a model of the hardware, and no card is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan serve 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan train 1.3B+MoE-128 --cluster dgx-a100:128 --tokens 300e9",
      "",
      "docs/planning.md says what the predictions stand on. --device, --threads and",
      "--seed, which every command takes, are for calibrate and validate alone."
    },
    subcommands = {
      ServingPlanCommand.class,
      TrainingPlanCommand.class,
      PaperCommand.class,
      CalibrateCommand.class,
      ValidateCommand.class
    })
public final class PlanCommand implements Subcommand {
  /** Those that serve and train share. */
  static final String NODES =
      "Nodes: dgx-a100-40, dgx-a100, dgx-h100, hgx-h200, dgx-b200, or a JSON file.";

  static final String MODELS =
      "Models: those of the paper, such as 1.3B+MoE-128 and 1.3B+PR-MoE-64/128+MoS;";
  static final String ALL_MODELS = "an unknown name shows them all.";

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    spec.commandLine().usage(spec.commandLine().getOut());
    return 0;
  }

  /** Until 0.1.0, what is planned may be said by options, as in {@code plan MODEL --tokens N}. */
  static final class EarlierForms implements IParameterPreprocessor {
    private static final Map<String, String> BY_OPTION =
        Map.of("--paper", "paper", "--calibrate", "calibrate", "--validate", "validate");

    @Override
    public boolean preprocess(
        Stack<String> arguments, CommandSpec plan, ArgSpec none, Map<String, Object> info) {
      String first = arguments.isEmpty() ? "--help" : arguments.peek();
      if (plan.subcommands().containsKey(first) || plan.optionsMap().containsKey(first)) {
        return false;
      }
      List<String> names = arguments.stream().map(word -> word.replaceFirst("=.*", "")).toList();
      String usual = names.contains("--tokens") ? "train" : "serve";
      String option = names.stream().filter(BY_OPTION::containsKey).findFirst().orElse("");
      arguments.remove(option);
      arguments.replaceAll(word -> word.replaceFirst("^--validate=", ""));
      arguments.push(BY_OPTION.getOrDefault(option, usual));
      return false;
    }
  }
}

package panamoe.harness.plan;

import panamoe.harness.Subcommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "Plans serving or training a model on a cluster before you rent it: GPUs, parallel degrees, time.",
      "All times are predictions of a cost model. No GPU is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan serve 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan train 1.3B+MoE-128 --cluster dgx-a100:128 --tokens 300e9",
      "",
      "docs/planning.md explains the predictions. --device, --threads and",
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
  /** Help lines that serve and train share. */
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
}

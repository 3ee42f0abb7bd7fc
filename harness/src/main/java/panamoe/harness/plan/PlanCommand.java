package panamoe.harness.plan;

import java.util.concurrent.Callable;
import panamoe.harness.SharedOptions;
import panamoe.plan.Paper;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code panamoe plan}. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Says what serving a model takes on a cluster: cards, degrees, latency, before any of it is rented.",
      "All times are predictions of a model of the hardware, and no card is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan --paper               the paper's latencies beside the model's",
      "",
      "docs/planning.md says what the predictions stand on. --device, --threads and",
      "--seed, which every command takes, change nothing that is shown."
    })
public final class PlanCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Option(
      names = "--paper",
      description =
          "Print the DeepSpeed-MoE paper's latencies beside predictions, term by term, and every constant.")
  private boolean paper;

  @Override
  public Integer call() {
    if (!paper) {
      throw new ParameterException(spec.commandLine(), "give --paper");
    }
    Paper fitted = Paper.fitted();
    if (shared.json()) {
      spec.commandLine().getOut().println(PaperReport.json(fitted));
    } else {
      spec.commandLine().getOut().print(PaperReport.text(fitted));
    }
    return 0;
  }
}

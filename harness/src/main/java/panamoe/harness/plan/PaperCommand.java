package panamoe.harness.plan;

import java.util.concurrent.Callable;
import panamoe.harness.SharedOptions;
import panamoe.plan.Paper;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "paper",
    mixinStandardHelpOptions = true,
    description =
        "Prints the DeepSpeed-MoE paper's latencies next to predictions, term by term, and every constant.",
    footer = {"", "Example:", "  panamoe plan paper"})
final class PaperCommand implements Callable<Integer> {
  @Mixin private SharedOptions shared;

  @Override
  public Integer call() {
    Paper fitted = Paper.fitted();
    shared.out().print(shared.json() ? PaperReport.json(fitted) + "\n" : PaperReport.text(fitted));
    return 0;
  }
}

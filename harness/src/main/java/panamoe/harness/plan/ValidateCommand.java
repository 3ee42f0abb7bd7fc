package panamoe.harness.plan;

import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import panamoe.comm.LauncherVariables;
import panamoe.harness.PartBar;
import panamoe.harness.ranks.RankOptions;
import panamoe.plan.Cluster;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "validate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Times steps on this machine, alternating with its calibration, and prints predictions next to them.",
      "Without --ranks it runs on 1, 2 and 4 ranks, or on as many as --cluster has."
    },
    footer = {"", "Example:", "  panamoe plan validate training --ranks 1"})
final class ValidateCommand implements Callable<Integer> {
  private static final List<Integer> COUNTS = List.of(1, 2, 4);

  @Mixin private MeasuringOptions options;

  @Parameters(
      arity = "0..1",
      paramLabel = "STEPS",
      hideParamSyntax = true,
      defaultValue = "all",
      description = "Steps to time: serving, training or all. Default: ${DEFAULT-VALUE}.")
  private MeasuredSteps steps;

  @Option(
      names = "--cluster",
      paramLabel = "FILE",
      description = "Predict with this file of plan calibrate instead of calibrating.")
  private String cluster;

  @Override
  public Integer call() throws Exception {
    options.check();
    Cluster known =
        cluster == null
            ? null
            : options.shared.checked(() -> ClusterOption.ofThisMachine(cluster, steps));
    PrintWriter printed = options.shared.out();
    boolean json = options.shared.json();
    if (!json && RankOptions.threadsOrProcesses(1).leads()) {
      printed.println(ValidationRow.HEADER);
    }
    for (int count : counts(known)) {
      List<ValidationRow> rows =
          options.onRanks(
              count,
              (all, backend, _) -> {
                try (PartBar bar = PartBar.onStandardError("validating")) {
                  return new Validation(all, backend, options.dtype(), steps)
                      .run(known, all.first() ? bar : _ -> {});
                }
              });
      for (ValidationRow row : rows) {
        printed.println(json ? row.toJson() : row.toRow());
      }
      printed.flush();
    }
    return 0;
  }

  private List<Integer> counts(Cluster known) {
    if (LauncherVariables.amongOthers()) {
      return List.of(LauncherVariables.size().orElseThrow());
    }
    if (options.ranks != null) {
      return List.of(options.ranks);
    }
    return known == null ? COUNTS : List.of(known.devices());
  }
}

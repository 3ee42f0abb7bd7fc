package panamoe.harness.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.function.DoubleConsumer;
import panamoe.harness.OutputPlace;
import panamoe.harness.PartBar;
import panamoe.io.ConfigJson;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "calibrate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures this machine in about half a minute and prints it as a cluster file for --cluster: the rates of each rank while all ranks work.",
      "Without --ranks it measures one rank per processor, or one on a GPU."
    },
    footer = {"", "Example:", "  panamoe plan calibrate --out own.json"})
final class CalibrateCommand implements Callable<Integer> {
  private static final int ROUNDS = 3;

  @Mixin private MeasuringOptions options;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      description = "Write the cluster to this file, which must not exist.")
  private Path out;

  @Override
  public Integer call() throws Exception {
    options.check();
    if (out != null) {
      OutputPlace.requireNewFile(out, "--out");
    }
    Cluster cluster =
        options.onRanks(
            options.ranks == null ? usual() : options.ranks,
            (all, backend, _) -> {
              try (PartBar bar = PartBar.onStandardError("measuring");
                  Calibration calibration =
                      new Calibration(all, backend, options.dtype(), MeasuredSteps.ALL)) {
                DoubleConsumer progress = all.first() ? bar : _ -> {};
                calibration.warmUp(progress);
                return calibration.measure(ROUNDS, progress);
              }
            });
    if (cluster != null) {
      ClusterOption.warnOfBounds(cluster, options.shared.err());
      String text = ConfigJson.text(cluster);
      if (out == null) {
        options.shared.out().print(text);
      } else {
        WholeOrNothing.make(out, hidden -> Files.writeString(hidden, text));
      }
    }
    return 0;
  }

  /** One rank measures a GPU. */
  private int usual() {
    return switch (options.shared.device()) {
      case CUDA, SIMT, REFERENCE -> 1;
      default -> Math.min(MeasuringOptions.MOST_RANKS, Runtime.getRuntime().availableProcessors());
    };
  }
}

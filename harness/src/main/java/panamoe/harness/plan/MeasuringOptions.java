package panamoe.harness.plan;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.DoubleConsumer;
import panamoe.comm.LauncherVariables;
import panamoe.harness.OutputPlace;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.io.ConfigJson;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.tensor.DType;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The options of {@code plan} for measuring this machine. */
final class MeasuringOptions {
  private static final List<Integer> VALIDATED = List.of(1, 2, 4);
  private static final int MOST_RANKS = 64;
  private static final int ROUNDS = 3;

  @Option(
      names = "--calibrate",
      description =
          "Measure this machine, about half a minute, and print it as a cluster for --cluster:"
              + " what each of --ranks ranks reaches while all work, as threads, or processes"
              + " where mpirun has started them.")
  boolean calibrate;

  @Option(
      names = "--validate",
      description =
          "Time steps of serving and of training (or those named: ${COMPLETION-CANDIDATES}) on 1,"
              + " 2 and 4 ranks of this machine, in turns with its calibration, and show"
              + " predictions beside them; with --cluster by a file of --calibrate.",
      paramLabel = "STEPS",
      arity = "0..1",
      fallbackValue = "all")
  Steps validate; // null: not asked for

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = "With these two: ranks. Default of --calibrate: one per processor.")
  private Integer ranks;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      description =
          "With --calibrate: write the cluster there; a file of that name must not exist.")
  private Path out;

  /** Whether there is something to measure. */
  boolean measures() {
    return calibrate || validate != null;
  }

  /**
   * Refuses what does not go together.
   *
   * @throws ParameterException with one sentence
   */
  void check(CommandSpec spec) {
    if (calibrate && validate != null) {
      throw usage(spec, "--calibrate and --validate do not go together");
    }
    if (ranks != null && !measures()) {
      throw usage(spec, "--ranks goes with --calibrate or --validate");
    }
    if (out != null && !calibrate) {
      throw usage(spec, "--out goes with --calibrate");
    }
    if (ranks != null && (ranks < 1 || ranks > MOST_RANKS)) {
      throw usage(spec, "--ranks is " + ranks + ", expected 1 to " + MOST_RANKS);
    }
    if (ranks != null && LauncherVariables.amongOthers()) {
      throw usage(spec, "--ranks is for threads; -n of mpirun or srun says how many processes");
    }
    if (out != null) {
      OutputPlace.requireNewFile(out, "--out");
    }
  }

  void calibrate(SharedOptions shared, DType dtype, PrintWriter printed) throws Exception {
    RankOptions options = RankOptions.threadsOrProcesses(ranks == null ? usual(shared) : ranks);
    Cluster cluster =
        onRanks(
            options,
            shared,
            (all, backend, _) -> {
              try (PartBar bar = PartBar.onStandardError("measuring");
                  Calibration calibration = new Calibration(all, backend, dtype, Steps.ALL)) {
                DoubleConsumer progress = all.first() ? bar : _ -> {};
                calibration.warmUp(progress);
                return calibration.measure(ROUNDS, progress);
              }
            });
    if (cluster == null) {
      return;
    }
    String text = ConfigJson.text(cluster);
    if (out == null) {
      printed.print(text);
    } else {
      WholeOrNothing.make(out, hidden -> Files.writeString(hidden, text));
    }
  }

  /** A card is measured by one rank. */
  private static int usual(SharedOptions shared) {
    return switch (shared.device()) {
      case CUDA, SIMT, REFERENCE -> 1;
      default -> Math.min(MOST_RANKS, Runtime.getRuntime().availableProcessors());
    };
  }

  /**
   * @param cluster a calibration of this machine; null to measure one in turns
   */
  void validate(SharedOptions shared, DType dtype, Cluster cluster, PrintWriter printed)
      throws Exception {
    List<Integer> counts =
        LauncherVariables.amongOthers()
            ? List.of(LauncherVariables.size().orElseThrow())
            : ranks != null
                ? List.of(ranks)
                : cluster == null ? VALIDATED : List.of(cluster.cards());
    if (!shared.json() && RankOptions.threadsOrProcesses(1).leads()) {
      printed.println(Validated.HEADER);
    }
    for (int count : counts) {
      List<Validated> rows =
          onRanks(
              RankOptions.threadsOrProcesses(count),
              shared,
              (all, backend, _) -> {
                try (PartBar bar = PartBar.onStandardError("validating")) {
                  return new Validation(all, backend, dtype, validate)
                      .run(cluster, all.first() ? bar : _ -> {});
                }
              });
      for (Validated row : rows) {
        printed.println(shared.json() ? row.toJson() : row.toRow());
      }
      printed.flush();
    }
  }

  /** Runs ranks, whose work an interrupt abandons: nothing is written that could be torn. */
  private static <T> T onRanks(RankOptions options, SharedOptions shared, RankRun.Body<T> body)
      throws Exception {
    FutureTask<T> ranks = new FutureTask<>(() -> new RankRun(options, shared).run(body));
    Thread.ofPlatform().daemon().name("measurement").start(ranks);
    try {
      return ranks.get();
    } catch (InterruptedException e) {
      ProcessHandle.current().children().forEach(ProcessHandle::destroy); // they measure ceilings
      throw e;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception failure ? failure : e;
    }
  }

  private static ParameterException usage(CommandSpec spec, String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }
}

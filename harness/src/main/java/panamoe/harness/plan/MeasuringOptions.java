package panamoe.harness.plan;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import panamoe.comm.LauncherVariables;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.tensor.DType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of {@code plan calibrate} and {@code plan validate} that both have. */
final class MeasuringOptions {
  static final int MOST_RANKS = 64;

  @Mixin SharedOptions shared;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = "Ranks as threads; mpirun or srun starts them as processes.")
  Integer ranks; // null: not said

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "f32 or bf16, of the models that are timed. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  DType dtype() {
    return dtype.dtype();
  }

  /** Refuses ranks that cannot be. */
  void check() {
    if (ranks != null) {
      shared.require(
          ranks >= 1 && ranks <= MOST_RANKS,
          "--ranks is " + ranks + ", expected 1 to " + MOST_RANKS);
      shared.require(
          !LauncherVariables.amongOthers(),
          "--ranks is for threads; -n of mpirun or srun says how many processes");
    }
  }

  /** Runs ranks, whose work an interrupt abandons: nothing is written that could be torn. */
  <T> T onRanks(int count, RankRun.Body<T> body) throws Exception {
    RankOptions options = RankOptions.threadsOrProcesses(count);
    FutureTask<T> all = new FutureTask<>(() -> new RankRun(options, shared).run(body));
    Thread.ofPlatform().daemon().name("measurement").start(all);
    try {
      return all.get();
    } catch (InterruptedException e) {
      ProcessHandle.current().children().forEach(ProcessHandle::destroy); // they measure ceilings
      throw e;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception failure ? failure : e;
    }
  }
}

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

/** The options that {@code plan calibrate} and {@code plan validate} share. */
final class MeasuringOptions {
  static final int MOST_RANKS = 64;

  @Mixin SharedOptions shared;

  @Option(
      names = "--ranks",
      paramLabel = "N",
      description = "Ranks as threads; mpirun or srun starts them as processes.")
  Integer ranks; // null if not given

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "Dtype of the timed models, f32 or bf16. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  DType dtype() {
    return dtype.dtype();
  }

  void check() {
    if (ranks != null) {
      shared.require(
          ranks >= 1 && ranks <= MOST_RANKS,
          "--ranks is " + ranks + ", expected 1 to " + MOST_RANKS);
      shared.require(
          !LauncherVariables.amongOthers(),
          "--ranks counts threads; -n of mpirun or srun sets the number of processes");
    }
  }

  /** Runs ranks. An interrupt abandons their work, which is safe because nothing is written yet. */
  <T> T onRanks(int count, RankRun.Body<T> body) throws Exception {
    RankOptions options = RankOptions.threadsOrProcesses(count);
    FutureTask<T> all = new FutureTask<>(() -> new RankRun(options, shared).run(body));
    Thread.ofPlatform().daemon().name("measurement").start(all);
    try {
      return all.get();
    } catch (InterruptedException e) {
      ProcessHandle.current()
          .children()
          .forEach(ProcessHandle::destroy); // the programs that measure ceilings
      throw e;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception failure ? failure : e;
    }
  }
}

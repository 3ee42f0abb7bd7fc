package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** An optimizer step of the base preset. */
public class TrainStepBenchmark extends WorkloadState {
  @Param("2048")
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(BenchKind.TRAIN_STEP, BenchKind.TRAIN_STEP.defaultShape(), tokens);
  }
}

package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.Kind;

/** An optimizer step of the base preset. */
public class TrainStepBenchmark extends WorkloadState {
  @Setup(Level.Trial)
  public void open() {
    open(Kind.TRAIN_STEP, Kind.TRAIN_STEP.defaultShape(), 2048);
  }
}

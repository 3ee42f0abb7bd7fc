package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Warmup;
import panamoe.harness.bench.Kind;
import panamoe.tensor.DType;

/** An optimizer step of the base preset. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class TrainStepBenchmark extends WorkloadState {
  @Param({"FLOAT32", "BFLOAT16"})
  private DType dtype;

  @Benchmark
  public void call() {
    run();
  }

  @Override
  Kind kind() {
    return Kind.TRAIN_STEP;
  }

  @Override
  String shape() {
    return kind().defaultShape();
  }

  @Override
  int tokens() {
    return 2048;
  }

  @Override
  DType dtype() {
    return dtype;
  }
}

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

/** Router logits and the choice of experts. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class GateBenchmark extends WorkloadState {
  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"1", "64", "2048"})
  private int tokens;

  @Param({"FLOAT32", "BFLOAT16"})
  private DType dtype;

  @Benchmark
  public void call() {
    run();
  }

  @Override
  Kind kind() {
    return Kind.GATE;
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  int tokens() {
    return tokens;
  }

  @Override
  DType dtype() {
    return dtype;
  }
}

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

/**
 * One token through a four-layer model. The tiny shape has next to no arithmetic: what remains is Java and the calls.
 * With {@code -prof gc} it shows that a step makes no garbage.
 */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class DecodeBenchmark extends WorkloadState {
  @Param({"1024x4096x16x1", "16x16x4x1"})
  private String shape;

  @Param({"FLOAT32", "BFLOAT16"})
  private DType dtype;

  @Benchmark
  public void call() {
    run();
  }

  @Override
  Kind kind() {
    return Kind.DECODE;
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  int tokens() {
    return 64;
  }

  @Override
  DType dtype() {
    return dtype;
  }
}

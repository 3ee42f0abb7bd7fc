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

/** The experts' first matrix: forward, gradient of the input and of the weights. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class GroupedGemmBenchmark extends WorkloadState {
  @Param({"GROUPED_GEMM", "GROUPED_GEMM_DGRAD", "GROUPED_GEMM_WGRAD"})
  private Kind kind;

  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"64", "512", "2048"})
  private int tokens;

  @Param({"FLOAT32", "BFLOAT16"})
  private DType dtype;

  @Benchmark
  public void call() {
    run();
  }

  @Override
  Kind kind() {
    return kind;
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

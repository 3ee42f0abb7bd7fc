package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** The experts' first matrix: forward, gradient of the input and of the weights. */
public class GroupedGemmBenchmark extends WorkloadState {
  @Param({"GROUPED_GEMM", "GROUPED_GEMM_DGRAD", "GROUPED_GEMM_WGRAD"})
  private BenchKind kind;

  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"64", "512", "2048"})
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(kind, shape, tokens);
  }
}

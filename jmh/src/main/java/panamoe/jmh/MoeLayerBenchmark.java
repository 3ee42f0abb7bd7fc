package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** A whole layer: forward, and forward with backward. */
public class MoeLayerBenchmark extends WorkloadState {
  @Param({"MOE_LAYER", "MOE_LAYER_TRAINING"})
  private BenchKind kind;

  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"1", "8", "64", "512", "2048"})
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(kind, shape, tokens);
  }
}

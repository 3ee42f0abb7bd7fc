package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** A prompt through the four-layer model of {@link DecodeBenchmark}. */
public class PrefillBenchmark extends WorkloadState {
  @Param("1024x4096x16x1")
  private String shape;

  @Param({"64", "512", "2048"})
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(BenchKind.PREFILL, shape, tokens);
  }
}

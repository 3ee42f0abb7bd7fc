package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** Router logits and top-k choice. */
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class GateBenchmark extends WorkloadState {
  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"1", "64", "2048"})
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(BenchKind.GATE, shape, tokens);
  }
}

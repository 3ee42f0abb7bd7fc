package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/**
 * One token through a four-layer model. The tiny shape has almost no arithmetic, so its time is
 * that of Java and of the native calls. {@code -prof gc} shows that a step allocates nothing.
 */
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class DecodeBenchmark extends WorkloadState {
  @Param({"1024x4096x16x1", "16x16x4x1"})
  private String shape;

  @Setup(Level.Trial)
  public void open() {
    open(BenchKind.DECODE, shape, 64);
  }
}

package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.harness.bench.Kind;

/**
 * One token through a four-layer model. The tiny shape has next to no arithmetic: what remains is
 * Java and the calls. With {@code -prof gc} it shows that a step makes no garbage.
 */
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class DecodeBenchmark extends WorkloadState {
  @Param({"1024x4096x16x1", "16x16x4x1"})
  private String shape;

  @Setup(Level.Trial)
  public void open() {
    open(Kind.DECODE, shape, 64);
  }
}

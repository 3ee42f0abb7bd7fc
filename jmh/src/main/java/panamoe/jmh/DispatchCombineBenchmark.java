package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import panamoe.lab.bench.BenchKind;

/** Tokens to rows grouped by expert, and back. */
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class DispatchCombineBenchmark extends WorkloadState {
  @Param({"DISPATCH", "COMBINE"})
  private BenchKind kind;

  @Param({"s1", "s2", "s3"})
  private String shape;

  @Param({"1", "64", "2048"})
  private int tokens;

  @Setup(Level.Trial)
  public void open() {
    open(kind, shape, tokens);
  }
}

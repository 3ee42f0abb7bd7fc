package panamoe.jmh;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.lab.bench.Bench;
import panamoe.lab.bench.BenchKind;
import panamoe.lab.bench.GenerationModel;
import panamoe.lab.bench.LayerShape;
import panamoe.lab.bench.Workload;
import panamoe.tensor.DType;

/**
 * A workload of {@code panamoe bench} on the cpu backend, open for one trial. Subclasses choose it.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public abstract class WorkloadState {
  private static final long SEED = 1;

  @Param({"FLOAT32", "BFLOAT16"})
  private DType dtype;

  private Backend backend;
  private Bench subject;
  private Workload workload;
  private int call;

  /** Opens the workload; a benchmark's set-up calls it. */
  void open(BenchKind kind, String shape, int tokens) {
    backend = Backends.open("cpu", 0);
    subject = kind.open(backend, GenerationModel.PAPER, LayerShape.parse(shape), dtype, SEED);
    workload = subject.over(tokens);
  }

  @Benchmark
  public void call() {
    workload.run(call++ & Integer.MAX_VALUE);
  }

  @TearDown(Level.Trial)
  public void close() {
    workload.close();
    subject.close();
    backend.close();
  }
}

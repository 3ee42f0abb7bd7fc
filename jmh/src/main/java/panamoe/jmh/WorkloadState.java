package panamoe.jmh;

import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.harness.bench.Kind;
import panamoe.harness.bench.LayerShape;
import panamoe.harness.bench.Subject;
import panamoe.harness.bench.Workload;
import panamoe.tensor.DType;

/** A workload of {@code panamoe bench} on the cpu backend, open for one trial. A benchmark says which one. */
@State(Scope.Thread)
public abstract class WorkloadState {
  private static final long SEED = 1;

  private Backend backend;
  private Subject subject;
  private Workload workload;
  private int call;

  abstract Kind kind();

  abstract String shape();

  abstract int tokens();

  abstract DType dtype();

  @Setup(Level.Trial)
  public void open() {
    backend = Backends.open("cpu", 0);
    subject = kind().open(backend, LayerShape.parse(shape()), dtype(), SEED);
    workload = subject.over(tokens());
  }

  @TearDown(Level.Trial)
  public void close() {
    workload.close();
    subject.close();
    backend.close();
  }

  void run() {
    workload.run(call++ & Integer.MAX_VALUE);
  }
}

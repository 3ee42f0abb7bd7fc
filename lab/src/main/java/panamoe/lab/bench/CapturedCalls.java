package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.tensor.TensorScope;

/** Work whose kernel calls are captured once per input and replayed, like a decode step. */
abstract class CapturedCalls implements Workload {
  final TensorScope scope;
  private final Backend backend;
  private final List<KernelGraph> recordings = new ArrayList<>();

  CapturedCalls(Backend backend) {
    this.backend = backend;
    this.scope = TensorScope.confined(backend);
  }

  /** Captures {@code calls}; {@link #run} rotates over all captures in this order. */
  final void record(Runnable calls) {
    recordings.add(backend.record(calls));
  }

  @Override
  public final void run(int call) {
    kernels().accept(call);
    backend.synchronize();
  }

  @Override
  public final IntConsumer kernels() {
    return call -> recordings.get(call % recordings.size()).replay();
  }

  @Override
  public final void close() {
    recordings.forEach(KernelGraph::close);
    scope.close();
  }
}

package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.tensor.TensorScope;

/** Work whose kernel calls are captured for each input, and replayed like a decode step. */
abstract class CapturedCalls implements Workload {
  final TensorScope scope;
  private final Backend backend;
  private final List<KernelGraph> graphs = new ArrayList<>();

  CapturedCalls(Backend backend) {
    this.backend = backend;
    this.scope = TensorScope.confined(backend);
  }

  /** Captures {@code calls}; runs of this work rotate over the graphs in their order. */
  final void capture(Runnable calls) {
    graphs.add(backend.capture(calls));
  }

  @Override
  public final void run(int call) {
    kernels().accept(call);
    backend.synchronize();
  }

  @Override
  public final IntConsumer kernels() {
    return call -> graphs.get(call % graphs.size()).replay();
  }

  @Override
  public final void close() {
    graphs.forEach(KernelGraph::close);
    scope.close();
  }
}

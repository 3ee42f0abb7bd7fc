package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;

/** A cell's captured graphs are closed before the next cell. */
class BenchTest {
  @ParameterizedTest
  @EnumSource(
      value = BenchKind.class,
      names = {"GATE", "DISPATCH", "COMBINE", "MOE_LAYER", "DECODE", "DECODE_BATCH"})
  void closesItsRecordings(BenchKind kind) {
    AtomicInteger open = new AtomicInteger();
    try (Backend backend = counting(new ReferenceBackend(), open);
        Bench subject =
            kind.open(
                backend, GenerationModel.PAPER, LayerShape.parse("8x8x2x1"), DType.FLOAT32, 1)) {
      try (Workload work = subject.over(2)) {
        work.run(0);
        work.run(1); // decode captures the step that it repeats
        assertTrue(open.get() > 0);
      }
      assertEquals(0, open.get());
    }
  }

  /**
   * @param open the number of captures that are not closed yet
   */
  private static Backend counting(Backend backend, AtomicInteger open) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              try {
                Object result = method.invoke(backend, arguments);
                return result instanceof KernelGraph graph ? new Counted(graph, open) : result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private record Counted(KernelGraph graph, AtomicInteger open) implements KernelGraph {
    Counted {
      open.incrementAndGet();
    }

    @Override
    public void replay() {
      graph.replay();
    }

    @Override
    public int size() {
      return graph.size();
    }

    @Override
    public void close() {
      graph.close();
      open.decrementAndGet();
    }
  }
}

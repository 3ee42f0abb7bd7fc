package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Tests without a clock that communication overlaps with computing: an exchange on the simulated
 * link ends only after its rank has begun the computation that should overlap it. A rank that waits
 * for the exchange first times out.
 */
class OverlapTest {
  private static final int TOKENS = 32;
  private static final ModelConfig RESIDUAL =
      new UniformModel(
              16,
              TOKENS,
              16,
              new UniformModel.Attention(4, 4, UniformModel.Positions.LEARNED),
              new UniformModel.FeedForward(
                  20, Activation.GELU_TANH, List.of(4), true, GateConfig.dropless(1)),
              NormConfig.Kind.LAYER,
              true,
              0.3)
          .toConfig();

  /**
   * For each exchange of two parts, forward and backward: the computation that must have begun
   * before it ends.
   */
  private static final List<Predicate<List<String>>> OVERLAPPED =
      List.of(
          kernels ->
              after(
                  kernels,
                  "gemm",
                  "dispatchForward"), // the residual branch, during the dispatch of part 1
          kernels ->
              count(kernels, "expertForward")
                  >= 1, // the experts on part 1, during the dispatch of part 2
          kernels ->
              count(kernels, "expertForward") >= 3, // on part 2, during the combine of part 1
          _ -> true,
          _ -> true,
          kernels ->
              count(kernels, "expertBackwardInput") >= 1, // the backward starts with the last part
          kernels -> count(kernels, "expertBackwardInput") >= 3,
          kernels -> after(kernels, "gemm", "expertBackwardInput"));

  private static long count(List<String> kernels, String name) {
    return kernels.stream().filter(name::equals).count();
  }

  private static boolean after(List<String> kernels, String name, String last) {
    return kernels.lastIndexOf(last) >= 0 && kernels.lastIndexOf(name) > kernels.lastIndexOf(last);
  }

  /** One rank's kernels, reported as they begin, and its exchanges, which wait for them. */
  private static final class SlowLink {
    private final List<String> kernels = new ArrayList<>();
    private final Duration patience;
    private int exchanges;

    SlowLink(Duration patience) {
      this.patience = patience;
    }

    synchronized void begin(String kernel) {
      kernels.add(kernel);
      notifyAll();
    }

    synchronized void cross() throws InterruptedException {
      Predicate<List<String>> begun = OVERLAPPED.get(exchanges++);
      long deadline = System.nanoTime() + patience.toNanos();
      while (!begun.test(kernels)) {
        if (System.nanoTime() > deadline) {
          throw new IllegalStateException(
              "exchange " + exchanges + " waits for what its rank does not compute");
        }
        wait(10);
      }
    }

    Backend watch(Backend backend) {
      return proxy(
          Backend.class,
          (_, method, arguments) -> {
            begin(method.getName());
            return call(backend, method, arguments);
          });
    }

    Communicator slow(Communicator group) {
      return proxy(
          Communicator.class,
          (_, method, arguments) -> {
            if (method.getName().equals("allToAll") && arguments.length == 4) {
              cross();
            }
            Object result = call(group, method, arguments);
            return result instanceof Communicator child ? slow(child) : result;
          });
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
      return type.cast(
          Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object call(Object target, Method method, Object[] arguments) throws Throwable {
      try {
        return method.invoke(target, arguments);
      } catch (InvocationTargetException e) {
        throw e.getCause();
      }
    }
  }

  private static List<Integer> exchanges(Overlap overlap, Duration patience) {
    return ThreadWorld.of(2)
        .timeout(Duration.ofMinutes(2))
        .run(
            world -> {
              SlowLink link = new SlowLink(patience);
              Ranks ranks = new Ranks(Topology.of(2), link.slow(world), Strategy.FLAT, overlap);
              try (Backend backend = link.watch(Backends.open("cpu", 1));
                  LanguageModel model = new LanguageModel(RESIDUAL, ranks)) {
                model.materialize(backend, DType.FLOAT32, true, 7);
                step(backend, model);
              }
              return link.exchanges;
            });
  }

  private static void step(Backend backend, LanguageModel model) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tape tape = new Tape(backend);
      model.parameters().watch(tape);
      Pass pass = Pass.training(backend, scope, tape, 3, 1);
      Tensor ids = scope.zeros(DType.INT32, TOKENS);
      for (int i = 0; i < TOKENS; i++) {
        ids.setInt(i, i % 16);
      }
      Tensor hidden = model.forward(pass, ids, new Sequences.Whole(1, TOKENS, ids), null, false);
      model.head().losses(pass, hidden, ids, 1f / TOKENS);
      tape.backward();
    }
  }

  @Test
  void aRankComputesWhileItsRowsAreUnderWay() {
    assertEquals(List.of(8, 8), exchanges(new Overlap(true, 2), Duration.ofMinutes(1)));
  }

  @Test
  void aRankThatWaitsWouldWaitForever() {
    CommunicationException stuck =
        assertThrows(
            CommunicationException.class,
            () -> exchanges(new Overlap(false, 2), Duration.ofMillis(200)));
    assertTrue(stuck.getMessage().contains("exchange 1 waits"), stuck.getMessage());
  }
}

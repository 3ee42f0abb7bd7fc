package panamoe.lab.measurement;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.comm.CollectiveCall;
import panamoe.comm.Communicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.exchange.Strategy;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Words;
import panamoe.lab.bench.Timing;
import panamoe.moe.MoeLayer;
import panamoe.op.Pass;
import panamoe.op.Tape;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Times forward and backward of one Residual-MoE layer on two ranks with one core each, alternating
 * all settings of {@code Overlap}; {@code lab/slowed} runs it. Arguments: latency of an exchange in
 * microseconds, Mbit/s of the link, tokens per rank, M, F, E. Rank 0 prints a table of medians.
 */
public final class OverlapTimes {
  private static final int WARM_UP = 5;
  private static final int TURNS = 15;
  private static final List<Overlap> OVERLAPS =
      List.of(Overlap.NONE, new Overlap(true, 1), new Overlap(true, 2), new Overlap(true, 4));

  /** A layer with the ranks' overlap setting; all layers have the same weights. */
  private record Subject(Ranks ranks, ParameterStore store, MoeLayer layer) {
    static Subject of(
        Communicator world, Backend backend, int hidden, MoeConfig config, Overlap overlap) {
      Ranks ranks = new Ranks(Topology.of(world.size()), world, Strategy.FLAT, overlap);
      ParameterStore store = new ParameterStore(ranks);
      MoeLayer layer = new MoeLayer(Declarations.of(store, 0.1, "moe"), 0, hidden, config);
      store.materialize(backend, DType.FLOAT32, true, 1);
      return new Subject(ranks, store, layer);
    }

    /** Milliseconds of one forward and backward. */
    double time(Backend backend, float[] input, long hidden) {
      ranks.world().barrier();
      long start = System.nanoTime();
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tape tape = new Tape(backend);
        store.watch(tape);
        Pass pass = Pass.training(backend, scope, tape, 1, 1);
        Tensor x = scope.allocate(DType.FLOAT32, input.length / hidden, hidden).set(input);
        Tensor y = scope.allocate(DType.FLOAT32, x.shape());
        layer.forwardInto(pass, x, null, y);
        tape.addGradient(y, scope.allocate(DType.FLOAT32, y.shape()).set(input));
        tape.backward();
        backend.synchronize();
      }
      return (System.nanoTime() - start) / 1e6;
    }
  }

  private OverlapTimes() {}

  public static void main(String[] args) {
    double latency = Integer.parseInt(args[0]) / 1e6;
    double bytesPerSecond = Integer.parseInt(args[1]) * 1e6 / 8;
    int tokens = Integer.parseInt(args[2]);
    int hidden = Integer.parseInt(args[3]);
    MoeConfig config =
        new MoeConfig(
            Integer.parseInt(args[5]),
            Integer.parseInt(args[4]),
            Activation.GELU_TANH,
            true,
            GateConfig.dropless(1),
            null,
            new MoeConfig.Residual(Integer.parseInt(args[4])));
    ThreadWorld.of(2)
        .run(
            world -> {
              time(slowed(world, latency, bytesPerSecond), config, tokens, hidden);
              return null;
            });
  }

  /** Wraps the group so that an exchange takes time without using a core, like with a NIC. */
  private static Communicator slowed(Communicator group, double latency, double bytesPerSecond) {
    return (Communicator)
        Proxy.newProxyInstance(
            Communicator.class.getClassLoader(),
            new Class<?>[] {Communicator.class},
            (_, method, arguments) -> {
              if (method.getName().equals("allToAll") && arguments.length == 4) {
                long far =
                    LongStream.of((long[]) arguments[1]).sum()
                        - ((long[]) arguments[1])[group.rank()];
                double seconds =
                    latency + far * CollectiveCall.rowBytes((Tensor) arguments[0]) / bytesPerSecond;
                Thread.sleep(Duration.ofNanos((long) (seconds * 1e9)));
              }
              try {
                Object result = method.invoke(group, arguments);
                return result instanceof Communicator child
                    ? slowed(child, latency, bytesPerSecond)
                    : result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private static void time(Communicator world, MoeConfig config, int tokens, int hidden) {
    try (Backend backend = Backends.open("cpu", 1)) {
      List<Subject> subjects = new ArrayList<>();
      OVERLAPS.forEach(
          overlap -> subjects.add(Subject.of(world, backend, hidden, config, overlap)));
      float[] input = new float[tokens * hidden];
      Random random = new Random(world.rank());
      for (int i = 0; i < input.length; i++) {
        input[i] = (float) random.nextGaussian();
      }
      double[][] times = new double[subjects.size()][TURNS];
      for (int turn = -WARM_UP; turn < TURNS; turn++) {
        for (int i = 0; i < times.length; i++) {
          double time = subjects.get(i).time(backend, input, hidden);
          if (turn >= 0) {
            times[i][turn] = time;
          }
        }
      }
      ExchangeTimes.say(world, "| rows travel | ms | gain |");
      ExchangeTimes.say(world, "|---|---:|---:|");
      double waiting = Timing.median(times[0]);
      for (int i = 0; i < times.length; i++) {
        Overlap overlap = OVERLAPS.get(i);
        String how =
            overlap.concurrent()
                ? "while the rank computes, in parts: " + overlap.parts()
                : "while the rank waits";
        double median = Timing.median(times[i]);
        ExchangeTimes.say(world, Words.of("| %s | %.1f | %.2f |", how, median, waiting / median));
      }
      subjects.forEach(
          subject -> {
            subject.store.close();
            subject.ranks.close();
          });
    }
  }
}

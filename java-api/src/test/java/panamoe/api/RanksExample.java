package panamoe.api;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;

/** The example of {@link Ranks}'s documentation; a test runs it. */
final class RanksExample {
  private RanksExample() {}

  static List<Double> run() {
    // @start region="ranks"
    // Two ranks with 8 tokens each and 4 of the 8 experts, as threads. In processes that mpirun
    // started it is Ranks.overMpi(Degrees.of(2), Duration.ofMinutes(1), RanksExample::rank); in
    // those of another framework overTcp, which takes a TcpRank first.
    return Ranks.onThreads(2, Degrees.of(2), Duration.ofMinutes(1), RanksExample::rank);
  }

  static double rank(Ranks ranks) {
    LayerSettings settings = LayerSettings.of(64, 256, 8, 2);
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, settings, Execution.FLOAT32.over(ranks), 42)) {
      MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 8 * 64);
      MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 8 * 64);
      MemorySegment dx = arena.allocate(ValueLayout.JAVA_FLOAT, 8 * 64);
      for (int i = 0; i < 8 * 64; i++) {
        x.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) Math.sin(i + ranks.rank()));
      }
      try (LayerStep step = layer.train(x, y, 8, 7)) {
        step.backward(y, dx);
      }
      layer
          .parameters()
          .sumGradients(); // of what several ranks hold: the router, and experts with replicas
      return ranks.sum(
          layer.parameters().gradient("moe.gate.weight").get(ValueLayout.JAVA_FLOAT, 0));
    }
  }
  // @end
}

package panamoe.backend.abi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.backend.abi.NativeAbiFuzzTest.assertRefusal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import panamoe.bindings.Moe;
import panamoe.bindings.NativeLibrary;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The functions on graphs, in random order on streams and graphs that are open, closed, foreign or
 * made up.
 */
class NativeGraphFuzzTest {
  static final Set<String> FUNCTIONS =
      Set.of("moe_graph_begin", "moe_graph_end", "moe_graph_launch", "moe_graph_destroy");
  private static final int CALLS = Integer.getInteger("panamoe.fuzz.calls", 100_000) / 5;

  private final RandomGenerator random =
      new SplittableRandom(Long.getLong("panamoe.fuzz.seed", 20220114));
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
  private final List<Long> streams = new ArrayList<>();
  private final List<Long> graphs = new ArrayList<>();
  private final Map<Long, Long> madeOn = new HashMap<>(); // the only stream that may launch a graph
  private final int[] served = new int[6];

  @Test
  void everyCallIsServedOrRefused() {
    NativeLibrary.ensureAvailable();
    long device = open("simt");
    long other = open("simt");
    long cpu = open("cpu");
    addStream(device);
    addStream(other);
    long onCpu = stream(cpu);
    try (NativeBackend backend = NativeBackend.open("simt", 0);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor y = scope.zeros(DType.FLOAT32, 4);
      for (int i = 0; i < CALLS; i++) {
        call(random.nextInt(served.length), random.nextBoolean() ? device : other, y);
      }
    }
    for (int function = 0; function < served.length; function++) {
      assertTrue(
          served[function] > CALLS / 200,
          "function " + function + " served " + served[function] + " calls");
    }
    assertEquals(Moe.MOE_UNSUPPORTED(), Moe.moe_graph_begin(onCpu));
    for (long each : List.of(device, other, cpu)) {
      assertEquals(Moe.MOE_OK(), Moe.moe_device_close(each));
    }
    graphs.forEach(graph -> assertEquals(Moe.MOE_INVALID_HANDLE(), Moe.moe_graph_destroy(graph)));
  }

  private void call(int function, long device, Tensor y) {
    switch (function) {
      case 0 -> result(function, "moe_graph_begin", Moe.moe_graph_begin(handle(streams)));
      case 1 -> {
        MemorySegment graph = random.nextInt(8) == 0 ? MemorySegment.NULL : out;
        long stream = handle(streams);
        boolean ended = result(function, "moe_graph_end", Moe.moe_graph_end(stream, graph));
        if (ended && graph != MemorySegment.NULL) {
          graphs.addFirst(out.get(ValueLayout.JAVA_LONG, 0));
          madeOn.put(graphs.getFirst(), stream);
          if (graphs.size() > 8) {
            Moe.moe_graph_destroy(graphs.removeLast());
          }
        }
      }
      case 2 -> {
        long graph = handle(graphs);
        long stream = random.nextInt(4) == 0 ? handle(streams) : madeOn.getOrDefault(graph, graph);
        result(function, "moe_graph_launch", Moe.moe_graph_launch(stream, graph));
      }
      case 3 -> {
        long graph = random.nextInt(4) == 0 ? handle(graphs) : random.nextLong();
        result(function, "moe_graph_destroy", Moe.moe_graph_destroy(graph));
      }
      case 4 -> {
        MemorySegment none = MemorySegment.NULL;
        long stream = handle(streams);
        result(
            function, "moe_fill", Moe.moe_fill(stream, 1, y.descriptor(), none, none, none, none));
      }
      default -> {
        if (streams.size() < 6) {
          addStream(device);
          served[function]++;
        } else if (result(
            function, "moe_stream_destroy", Moe.moe_stream_destroy(handle(streams)))) {
          streams.removeIf(
              closed -> Moe.moe_stream_synchronize(closed) == Moe.MOE_INVALID_HANDLE());
        }
      }
    }
  }

  private boolean result(int function, String name, int status) {
    if (status == Moe.MOE_OK()) {
      served[function]++;
      return true;
    }
    assertRefusal(name, name, status);
    return false;
  }

  private long handle(List<Long> handles) {
    List<Long> others = random.nextInt(8) == 0 ? (handles == graphs ? streams : graphs) : handles;
    return others.isEmpty() || random.nextInt(8) == 0
        ? random.nextLong()
        : others.get(random.nextInt(others.size()));
  }

  private long open(String backend) {
    assertEquals(Moe.MOE_OK(), Moe.moe_device_open(arena.allocateFrom(backend), 0, out));
    return out.get(ValueLayout.JAVA_LONG, 0);
  }

  private long stream(long device) {
    assertEquals(Moe.MOE_OK(), Moe.moe_stream_create(device, 1, out));
    return out.get(ValueLayout.JAVA_LONG, 0);
  }

  private void addStream(long device) {
    streams.add(stream(device));
  }
}

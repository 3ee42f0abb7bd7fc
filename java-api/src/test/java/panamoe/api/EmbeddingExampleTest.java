package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Runs what docs/embedding.md shows. */
class EmbeddingExampleTest {
  private static final int TOKENS = 16;
  private static final LayerSettings SETTINGS = LayerSettings.of(64, 32, 4, 1);

  @FunctionalInterface
  private interface Forward {
    void run(MemorySegment x, MemorySegment y, long tokens) throws InterruptedException;
  }

  @Test
  void threadsTakeTurnsOrHaveALayerEach() throws Exception {
    var pool = EmbeddingExample.pool(2, SETTINGS, 42);
    try (Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 42)) {
      float[] expected = new float[TOKENS * 64];
      layer.forward(ones(), expected);
      requireOnFourThreads(
          expected, (x, y, tokens) -> EmbeddingExample.forward(device, layer, x, y, tokens));
      requireOnFourThreads(
          expected, (x, y, tokens) -> EmbeddingExample.forward(pool, x, y, tokens));
    } finally {
      pool.forEach(layer -> layer.device().close());
    }
  }

  private static void requireOnFourThreads(float[] expected, Forward forward) throws Exception {
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<Future<float[]>> results = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        results.add(
            threads.submit(
                () -> {
                  try (Arena arena = Arena.ofConfined()) {
                    MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, ones());
                    MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, TOKENS * 64);
                    forward.run(x, y, TOKENS);
                    return y.toArray(ValueLayout.JAVA_FLOAT);
                  }
                }));
      }
      for (Future<float[]> result : results) {
        assertArrayEquals(expected, result.get(), 0f);
      }
    }
  }

  @Test
  void buffersAreUsedInPlace() {
    try (Device device = Device.open("cpu", 1);
        MoeLayer layer = MoeLayer.create(device, SETTINGS, 42)) {
      float[] out = new float[TOKENS * 64];
      float[] in = new float[TOKENS * 64];
      in[0] = 1;
      layer.forward(in, out);
      assertEquals(out[0], EmbeddingExample.buffers(layer));
    }
  }

  private static float[] ones() {
    float[] x = new float[TOKENS * 64];
    Arrays.fill(x, 1);
    return x;
  }
}

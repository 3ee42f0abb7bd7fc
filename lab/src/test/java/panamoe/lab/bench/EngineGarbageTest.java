package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.tensor.DType;

/** Tests that an engine allocates little more per token than its text on the Java heap. */
class EngineGarbageTest {
  private static final int TEXTS = 4;
  private static final int MOST_BYTES = 512;

  @Test
  void aTokenLeavesItsText() throws Exception {
    try (Backend backend = Backends.open("cpu", 1);
        Bench subject =
            BenchKind.DECODE_BATCH.open(
                backend, GenerationModel.PAPER, LayerShape.parse("32x64x4x2"), DType.BFLOAT16, 1);
        Workload decode = subject.over(TEXTS)) {
      Contender engine = decode.beside().contender();
      engine.burst(2); // warms up the JIT compiler
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 3; i++) {
        least = Math.min(least, allocated(engine));
      }
      assertTrue(least <= MOST_BYTES, "a token left " + least + " bytes");
    }
  }

  private static long allocated(Contender engine) throws Exception {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    int steps = engine.burst(0.3).length;
    return (threads.getCurrentThreadAllocatedBytes() - before) / steps / TEXTS;
  }
}

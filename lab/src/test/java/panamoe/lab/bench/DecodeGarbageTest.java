package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.tensor.DType;

/** Tests that a decode step allocates nothing on the Java heap. */
class DecodeGarbageTest {
  private static final int STEPS = 1000;

  /** Limit of the bytes that reading the counter allocates. */
  private static final long COUNTER_BYTES = 512;

  @Test
  void thousandStepsAllocateNothing() {
    try (Backend backend = Backends.open("cpu", 1);
        Bench subject =
            BenchKind.DECODE.open(
                backend, GenerationModel.PAPER, LayerShape.parse("32x64x4x2"), DType.BFLOAT16, 1);
        Workload decode = subject.over(8)) {
      allocated(decode, 20 * STEPS); // warms up the JIT compiler
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 3; i++) {
        least = Math.min(least, allocated(decode, STEPS));
      }
      assertTrue(least <= COUNTER_BYTES, STEPS + " decode steps allocated " + least + " bytes");
    }
  }

  private static long allocated(Workload decode, int steps) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < steps; i++) {
      decode.run(i);
    }
    return threads.getCurrentThreadAllocatedBytes() - before;
  }
}

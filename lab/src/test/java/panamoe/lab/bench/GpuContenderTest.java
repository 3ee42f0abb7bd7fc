package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.junit.jupiter.api.Test;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.nn.Cost;

/**
 * Tests the separation of host and kernel time with a call that sleeps 3 ms and kernels of 0 ms.
 */
class GpuContenderTest {
  private int issued;

  private final Workload work =
      new Workload() {
        @Override
        public void run(int call) {
          LockSupport.parkNanos(3_000_000);
        }

        @Override
        public IntConsumer kernels() {
          return _ -> issued++;
        }

        @Override
        public Cost cost() {
          return Cost.NONE;
        }

        @Override
        public void close() {}
      };

  @Test
  void theHostsPartIsWhatCallsTakeBesideTheirKernels() {
    try (ReferenceBackend backend = new ReferenceBackend()) {
      GpuContender kernels = new GpuContender(work, backend, false);
      double[] ms = kernels.burst(0.02);
      assertEquals(issued, ms.length, "a time for each call of a group");
      assertTrue(Arrays.stream(ms).min().orElseThrow() < 1);
      assertTrue(kernels.hostMs() > 2);
      double[] whole = new GpuContender(work, backend, true).burst(0.02);
      assertTrue(Arrays.stream(whole).min().orElseThrow() >= 3);
    }
  }
}

package panamoe.testkit;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.function.Supplier;

/**
 * Limits the CPU time of the calling thread. Other load on the machine changes elapsed time, but
 * not CPU time.
 */
public final class CpuTime {
  private CpuTime() {}

  /** Runs the work; fails if this thread used more CPU time than {@code most}. */
  public static <T> T assertWithin(Duration most, Supplier<T> work) {
    long begin = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    T result = work.get();
    Duration used =
        Duration.ofNanos(ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - begin);
    assertTrue(used.compareTo(most) <= 0, () -> "used " + used + " of CPU time, limit " + most);
    return result;
  }
}

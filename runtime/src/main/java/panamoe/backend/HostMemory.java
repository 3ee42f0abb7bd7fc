package panamoe.backend;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Host memory that this process can still get. */
public final class HostMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Pattern AVAILABLE = Pattern.compile("(?m)^MemAvailable:\\s+(\\d+) kB$");

  /**
   * Java's memory outside its heap (compiled code, classes, buffers): about 80 MiB when the preset
   * base trains.
   */
  private static final long BESIDE_HEAP = 96L << 20;

  private HostMemory() {}

  /**
   * Free bytes, on Linux including caches that can be dropped, and at most what a container's limit
   * leaves; minus what Java's heap may still grow by.
   */
  public static long available() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long free = meminfo().orElseGet(system::getFreeMemorySize);
    Runtime java = Runtime.getRuntime();
    long room = new MemoryGroups(Path.of("/")).room();
    return available(free, room, java.maxMemory() - java.totalMemory());
  }

  /**
   * @param room bytes below the limit of the container; past it the kernel ends the process
   * @param heap bytes that Java's heap may still grow by
   */
  static long available(long free, long room, long heap) {
    return Math.min(free, Math.max(0, room - heap - BESIDE_HEAP));
  }

  private static Optional<Long> meminfo() {
    try {
      Matcher matcher = AVAILABLE.matcher(Files.readString(MEMINFO));
      return matcher.find()
          ? Optional.of(1024 * Long.parseLong(matcher.group(1)))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}

package panamoe.backend;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How much memory the host could still give this process. */
public final class HostMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Pattern AVAILABLE = Pattern.compile("(?m)^MemAvailable:\\s+(\\d+) kB$");

  /**
   * What Java takes beside its heap while a run goes on, compiled code, classes and buffers: some
   * 80 MiB in training of the preset base.
   */
  private static final long BESIDE_HEAP = 96L << 20;

  private HostMemory() {}

  /**
   * Free memory in bytes, on Linux with the caches that can be dropped; not more than a container's
   * limit leaves beside what is in use there already, and what Java may still take of it.
   */
  public static long available() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long free = meminfo().orElseGet(system::getFreeMemorySize);
    Runtime java = Runtime.getRuntime();
    long room = new MemoryGroups(Path.of("/")).room();
    return available(free, room, java.maxMemory() - java.totalMemory());
  }

  /**
   * @param room that the limit of a container leaves; past it the kernel ends the process
   * @param heap that Java may still take
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

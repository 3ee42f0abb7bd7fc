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

  private HostMemory() {}

  /**
   * Free memory in bytes, on Linux with the caches that can be dropped; not more than a container's
   * limit leaves beside what is in use there already, and what Java's heap may still take of it.
   */
  public static long available() {
    var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    long free = meminfo().orElseGet(system::getFreeMemorySize);
    Runtime java = Runtime.getRuntime();
    long heap = java.maxMemory() - java.totalMemory();
    return Math.min(free, Math.max(0, new MemoryGroups(Path.of("/")).room() - heap));
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

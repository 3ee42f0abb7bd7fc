package panamoe.backend;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * The control groups of Linux that limit this process's memory: its own and those above it, of
 * version 1 or 2. Without information from the kernel, nothing is limited.
 *
 * @param root of the file system: {@code /}
 */
record MemoryGroups(Path root) {
  /** The files of a group, and the name of the file cache that the kernel drops before it kills. */
  private enum Version {
    ONE(
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        Set.of("total_inactive_file", "total_active_file")),
    TWO("memory.max", "memory.current", Set.of("inactive_file", "active_file"));

    private final String limit;
    private final String used;
    private final Set<String> reclaimable;

    Version(String limit, String used, Set<String> reclaimable) {
      this.limit = limit;
      this.used = used;
      this.reclaimable = reclaimable;
    }
  }

  /** Bytes that the groups' limits leave to the process, dropped file caches included. */
  long room() {
    try {
      long room = Long.MAX_VALUE;
      for (String line : Files.readAllLines(root.resolve("proc/self/mountinfo"))) {
        // ID parent device root place options ... - type source options
        List<String> words = Arrays.asList(line.split(" "));
        List<String> kind = words.subList(words.indexOf("-") + 1, words.size());
        boolean two = kind.getFirst().equals("cgroup2");
        if (two
            || kind.getFirst().equals("cgroup")
                && Arrays.asList(kind.getLast().split(",")).contains("memory")) {
          Path place = root.resolve(words.get(4).substring(1));
          Version version = two ? Version.TWO : Version.ONE;
          room = Math.min(room, room(place, group(version, Path.of(words.get(3))), version));
        }
      }
      return room;
    } catch (IOException _) {
      return Long.MAX_VALUE;
    }
  }

  /** The process's group below a mount. In a container the mount may show that group alone. */
  private Path group(Version version, Path mounted) throws IOException {
    for (String line : Files.readAllLines(root.resolve("proc/self/cgroup"))) {
      String[] parts = line.split(":", 3); // number, controllers, path
      boolean its =
          version == Version.TWO
              ? parts[1].isEmpty()
              : Arrays.asList(parts[1].split(",")).contains("memory");
      if (its && Path.of(parts[2]).startsWith(mounted)) {
        return mounted.relativize(Path.of(parts[2]));
      }
    }
    return Path.of("");
  }

  private static long room(Path top, Path below, Version version) throws IOException {
    long room = Long.MAX_VALUE;
    for (Path group = top.resolve(below); group.startsWith(top); group = group.getParent()) {
      room = Math.min(room, roomOf(group, version));
    }
    return room;
  }

  private static long roomOf(Path group, Version version) throws IOException {
    Path limit = group.resolve(version.limit);
    if (Files.notExists(limit)) { // the topmost group of version 2 has none
      return Long.MAX_VALUE;
    }
    String most = Files.readString(limit).strip();
    if (most.equals("max")) {
      return Long.MAX_VALUE;
    }
    long room =
        Long.parseLong(most)
            - Long.parseLong(Files.readString(group.resolve(version.used)).strip());
    for (String line : Files.readAllLines(group.resolve("memory.stat"))) {
      String[] parts = line.split(" ");
      room += version.reclaimable.contains(parts[0]) ? Long.parseLong(parts[1]) : 0;
    }
    return Math.max(0, room);
  }
}

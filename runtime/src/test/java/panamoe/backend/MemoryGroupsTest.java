package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Control groups in the kernel's layout, in a temporary folder. */
class MemoryGroupsTest {
  private static final String TWO =
      "31 23 0:28 %s /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n";
  private static final String ONE =
      "30 23 0:27 %1$s /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
          + "31 23 0:28 %1$s /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";

  @TempDir private Path root;

  private void write(String file, String content) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, content);
  }

  private void process(String mounts, String groups) throws IOException {
    write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/root rw\n" + mounts);
    write("proc/self/cgroup", groups);
  }

  private void two(String group, String limit, long used, long inactive) throws IOException {
    String folder = "sys/fs/cgroup/" + group;
    write(folder + "/memory.max", limit + "\n");
    write(folder + "/memory.current", used + "\n");
    write(
        folder + "/memory.stat", "anon 7\nfile 50\ninactive_file " + inactive + "\nactive_file 3");
  }

  private long room() {
    return new MemoryGroups(root).room();
  }

  @Test
  void whatTheGroupUsesAlreadyIsNotThere() throws IOException {
    process(TWO.formatted("/"), "0::/user/task\n");
    two("user/task", "2000", 1500, 100);
    two("user", "max", 1900, 500);
    assertEquals(2000 - 1500 + 100 + 3, room());
  }

  @Test
  void theGroupsAboveCountToo() throws IOException {
    process(TWO.formatted("/"), "0::/user/task\n");
    two("user/task", "max", 100, 10);
    two("user", "1000", 990, 20);
    assertEquals(1000 - 990 + 20 + 3, room());
    two("user", "1000", 1100, 20);
    assertEquals(0, room());
  }

  /**
   * Without a namespace of its own, a container sees its group's path, and the group as the top.
   */
  @Test
  void aContainersMountIsItsOwnGroup() throws IOException {
    process(TWO.formatted("/docker/4512"), "0::/docker/4512\n");
    two("", "3000", 1000, 0);
    assertEquals(2003, room());
    process(TWO.formatted("/"), "0::/\n");
    assertEquals(2003, room());
    process(TWO.formatted("/elsewhere"), "0::/docker/4512\n");
    assertEquals(2003, room());
  }

  @Test
  void versionOneSaysItInOtherWords() throws IOException {
    process(ONE.formatted("/"), "5:cpu:/\n4:memory:/task\n0::/\n");
    String folder = "sys/fs/cgroup/memory/task";
    write(folder + "/memory.limit_in_bytes", "5000\n");
    write(folder + "/memory.usage_in_bytes", "4000\n");
    write(
        folder + "/memory.stat",
        "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 40\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "9000\n");
    write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 300\n");
    assertEquals(1340, room());
  }

  @Test
  void whereNothingIsSaidNothingIsLimited() throws IOException {
    assertEquals(Long.MAX_VALUE, room());
    process("", "0::/\n");
    assertEquals(Long.MAX_VALUE, room());
    process(TWO.formatted("/"), "0::/task\n");
    assertEquals(Long.MAX_VALUE, room());
  }

  @Test
  void thisProcessHasSomeRoom() {
    assertTrue(HostMemory.available() > 1 << 20);
  }
}

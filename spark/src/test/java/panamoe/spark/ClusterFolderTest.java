package panamoe.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** ClusterFolder, in a local file system. */
class ClusterFolderTest {
  @Test
  void theBestCheckpointStaysBesideTheNewest(@TempDir Path run) throws IOException {
    ClusterFolder folder = new ClusterFolder(run.toUri().toString(), new Configuration());
    Path manifest = Files.writeString(run.resolve("manifest.json"), "{}");
    for (int step = 1; step <= 4; step++) {
      String name = "step-0000000" + step;
      folder.copy(name, List.of(manifest));
      folder.show(name, 2, OptionalLong.of(1));
    }
    try (Stream<Path> all = Files.list(run.resolve("checkpoints"))) {
      List<String> steps = all.map(it -> it.getFileName().toString()).toList();
      assertEquals(
          List.of("step-00000001", "step-00000003", "step-00000004"),
          steps.stream().filter(name -> name.startsWith("step-")).sorted().toList());
    }
  }
}

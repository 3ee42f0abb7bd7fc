package panamoe.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.apache.spark.SparkFiles;

/** A folder on the disk of this process, below Spark's own, until it is closed. */
record TemporaryFolder(Path path) implements AutoCloseable {
  static TemporaryFolder of(String prefix) throws IOException {
    return new TemporaryFolder(
        Files.createTempDirectory(Path.of(SparkFiles.getRootDirectory()), prefix));
  }

  @Override
  public void close() throws IOException {
    try (Stream<Path> all = Files.walk(path)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(each);
      }
    }
  }
}

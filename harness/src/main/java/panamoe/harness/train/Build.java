package panamoe.harness.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.ZipFile;

/** Which build this process runs: by what its classes are, since a build from source has no other name. */
final class Build {
  private Build() {}

  /** The same for processes whose class paths hold the same, wherever that lies and whenever it was packed. */
  static long digest() throws IOException {
    return digest(System.getProperty("java.class.path"));
  }

  static long digest(String classPath) throws IOException {
    CRC32C digest = new CRC32C();
    for (String entry : classPath.split(File.pathSeparator)) {
      Path path = Path.of(entry);
      if (Files.isDirectory(path)) {
        for (Path file : files(path)) {
          digest.update(path.relativize(file).toString().getBytes(UTF_8));
          digest.update(Files.readAllBytes(file));
        }
      } else if (Files.exists(path)) {
        try (ZipFile jar = new ZipFile(path.toFile())) {
          jar.stream().forEach(each -> digest.update((each.getName() + " " + each.getCrc()).getBytes(UTF_8)));
        }
      }
    }
    return digest.getValue();
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }
}

package panamoe.harness.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.ZipFile;
import panamoe.bindings.NativeLibrary;

/**
 * Which build this process runs: by what its code is, since a build from source has no other name.
 */
final class Build {
  private Build() {}

  /**
   * The same for processes that loaded the same native library, wherever it lies; 0 for those that
   * have none.
   */
  static long ofLibrary() throws IOException {
    Optional<Path> file = NativeLibrary.file();
    return file.isPresent() ? ofFile(file.get()) : 0;
  }

  static long ofFile(Path file) throws IOException {
    CRC32C digest = new CRC32C();
    digest.update(Files.readAllBytes(file));
    return digest.getValue();
  }

  /**
   * The same for processes whose class paths hold the same, wherever that lies and whenever it was
   * packed.
   */
  static long ofClasses() throws IOException {
    return ofClasses(System.getProperty("java.class.path"));
  }

  static long ofClasses(String classPath) throws IOException {
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
          jar.stream()
              .forEach(
                  each -> digest.update((each.getName() + " " + each.getCrc()).getBytes(UTF_8)));
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

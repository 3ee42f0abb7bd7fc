package panamoe.harness.ranks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.ZipFile;
import panamoe.bindings.NativeLibrary;

/** Identifies the build that this process runs by a hash of its code. */
public final class BuildHash {
  private BuildHash() {}

  /**
   * A hash of the loaded native library's content, in hexadecimal digits; 0 if none is loaded.
   *
   * @throws UncheckedIOException if its file cannot be read
   */
  public static String ofLibrary() {
    return NativeLibrary.file().map(BuildHash::ofFile).orElse("0");
  }

  static String ofFile(Path file) {
    CRC32C digest = new CRC32C();
    try {
      digest.update(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Long.toHexString(digest.getValue());
  }

  /**
   * A hash of the class path's content, in hexadecimal digits, independent of paths and of the
   * jars' times.
   *
   * @throws UncheckedIOException if one of its files cannot be read
   */
  public static String ofClasses() {
    try {
      return ofClasses(System.getProperty("java.class.path"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String ofClasses(String classPath) throws IOException {
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
    return Long.toHexString(digest.getValue());
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }
}

package panamoe.harness.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Files of the project, found from the native library that this process has loaded. */
final class NativeBuild {
  private static final Path MAPS = Path.of("/proc/self/maps");

  private NativeBuild() {}

  /** The executable {@code name} in the library's folder. */
  static Optional<Path> sibling(String name) throws IOException {
    return library().map(library -> library.resolveSibling(name)).filter(Files::isExecutable);
  }

  /** The file {@code relative} of the project that the library was built in. */
  static Optional<Path> projectFile(String relative) throws IOException {
    Path folder = library().map(Path::getParent).orElse(null);
    while (folder != null && !Files.isRegularFile(folder.resolve(relative))) {
      folder = folder.getParent();
    }
    return Optional.ofNullable(folder).map(found -> found.resolve(relative));
  }

  private static Optional<Path> library() throws IOException {
    if (!Files.isReadable(MAPS)) {
      return Optional.empty();
    }
    String library = "/" + System.mapLibraryName("panamoe");
    return Files.readAllLines(MAPS).stream()
        .filter(line -> line.endsWith(library))
        .map(line -> Path.of(line.substring(line.indexOf('/'))))
        .findFirst();
  }
}

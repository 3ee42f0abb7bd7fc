package panamoe.harness.probe;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.bindings.NativeLibrary;

/** Finds files of the project from the location of the loaded native library. */
public final class NativeBuild {
  private NativeBuild() {}

  /** The executable {@code name} in the library's folder. */
  static Optional<Path> sibling(String name) {
    return NativeLibrary.file()
        .map(library -> library.resolveSibling(name))
        .filter(Files::isExecutable);
  }

  /** The file {@code relative} of the project that the library was built in. */
  public static Optional<Path> projectFile(String relative) {
    Path folder = NativeLibrary.file().map(Path::getParent).orElse(null);
    while (folder != null && !Files.isRegularFile(folder.resolve(relative))) {
      folder = folder.getParent();
    }
    return Optional.ofNullable(folder).map(found -> found.resolve(relative));
  }
}

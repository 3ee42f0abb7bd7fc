package panamoe.bindings;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** The files that may be the native library, in the order in which they are tried. Immutable. */
record SearchPath(List<Candidate> candidates) {
  static final String PROPERTY = "panamoe.native.path";
  static final String VARIABLE = "PANAMOE_NATIVE_PATH";
  static final String FILE_NAME = System.mapLibraryName("panamoe");

  /** A file and the setting that names it. */
  record Candidate(String origin, Path file) {}

  /** The search path of this JVM. */
  static SearchPath ofProcess() {
    return of(
        System.getProperty(PROPERTY),
        System.getenv(VARIABLE),
        codeLocation().orElse(null),
        System.getProperty("java.library.path"));
  }

  /**
   * Lists the candidates; every argument may be null.
   *
   * @param property a file, or a directory that holds {@link #FILE_NAME}
   * @param variable the same
   * @param code where these classes come from; a project folder above it brings in that project's release build
   * @param libraryPath directories, separated as in {@code java.library.path}
   */
  static SearchPath of(String property, String variable, Path code, String libraryPath) {
    List<Candidate> candidates = new ArrayList<>();
    if (Setting.isSet(property)) {
      candidates.add(new Candidate("system property " + PROPERTY, Setting.file(property, FILE_NAME)));
    }
    if (Setting.isSet(variable)) {
      candidates.add(new Candidate("environment variable " + VARIABLE, Setting.file(variable, FILE_NAME)));
    }
    projectOf(code).ifPresent(
        project ->
            candidates.add(new Candidate("release build", project.resolve("native/build/release").resolve(FILE_NAME))));
    for (Path folder : Setting.folders(libraryPath)) {
      candidates.add(new Candidate("java.library.path", folder.resolve(FILE_NAME)));
    }
    return new SearchPath(List.copyOf(candidates));
  }

  /** The folder of the project that these classes lie in. */
  static Optional<Path> project() {
    return codeLocation().flatMap(SearchPath::projectOf);
  }

  private static Optional<Path> projectOf(Path code) {
    for (Path folder = code; folder != null; folder = folder.getParent()) {
      if (Files.isRegularFile(folder.resolve("native/CMakeLists.txt"))) {
        return Optional.of(folder);
      }
    }
    return Optional.empty();
  }

  /** The first candidate that exists. */
  Optional<Path> find() {
    return candidates.stream().map(Candidate::file).filter(Files::isRegularFile).findFirst();
  }

  /** One line a candidate: the file and the setting that names it. */
  String describe() {
    return candidates.stream()
        .map(candidate -> "  " + candidate.file() + " (" + candidate.origin() + ")")
        .collect(Collectors.joining("\n"));
  }

  private static Optional<Path> codeLocation() {
    CodeSource source = SearchPath.class.getProtectionDomain().getCodeSource();
    if (source == null || !"file".equals(source.getLocation().getProtocol())) {
      return Optional.empty();
    }
    try {
      return Optional.of(Path.of(source.getLocation().toURI()));
    } catch (URISyntaxException e) {
      throw new AssertionError("a class loader gave a malformed location: " + source.getLocation(), e);
    }
  }
}

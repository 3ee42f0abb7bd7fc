package panamoe.bindings;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The candidate files for the native library, in search order. Immutable.
 *
 * @param named whether a setting names the library; then that is the only candidate
 */
record SearchPath(boolean named, List<Candidate> candidates) {
  static final String PROPERTY = "panamoe.native.path";
  static final String VARIABLE = "PANAMOE_NATIVE_PATH";
  static final String FILE_NAME = System.mapLibraryName("panamoe");

  /** A place where the library may be; its text names it in messages. */
  interface Candidate {
    /**
     * The library's file; empty if it is not there.
     *
     * @throws UnsatisfiedLinkError if it is there but cannot be used
     */
    Optional<Path> find();
  }

  /** A file and where its path comes from. */
  record FileCandidate(String origin, Path file) implements Candidate {
    @Override
    public Optional<Path> find() {
      return Optional.of(file).filter(Files::isRegularFile);
    }

    @Override
    public String toString() {
      return file + " (" + origin + ")";
    }
  }

  /** The search path of this JVM. */
  static SearchPath ofProcess() {
    return of(
        System.getProperty(PROPERTY),
        System.getenv(VARIABLE),
        codeLocation().orElse(null),
        new PackagedLibrary(
            SearchPath.class.getClassLoader(),
            Platform.ofProcess().name(),
            UnpackFolder.of(System.getProperties(), System.getenv())),
        System.getProperty("java.library.path"));
  }

  /**
   * Lists the candidates. Every argument may be null; if {@code property} or {@code variable} is
   * set, it gives the only candidate.
   *
   * @param property a file, or a directory with {@link #FILE_NAME}
   * @param variable a file, or a directory with {@link #FILE_NAME}
   * @param code location of these classes; if a project folder is above it, that project's release
   *     build is a candidate
   * @param packaged the library in a jar
   * @param libraryPath directories, separated as in {@code java.library.path}
   */
  static SearchPath of(
      String property, String variable, Path code, Candidate packaged, String libraryPath) {
    if (Setting.isSet(property)) {
      return named("system property " + PROPERTY, property);
    }
    if (Setting.isSet(variable)) {
      return named("environment variable " + VARIABLE, variable);
    }
    List<Candidate> candidates = new ArrayList<>();
    projectOf(code)
        .ifPresent(
            project ->
                candidates.add(
                    new FileCandidate(
                        "release build",
                        project.resolve("native/build/release").resolve(FILE_NAME))));
    if (packaged != null) {
      candidates.add(packaged);
    }
    for (Path folder : Setting.folders(libraryPath)) {
      candidates.add(new FileCandidate("java.library.path", folder.resolve(FILE_NAME)));
    }
    return new SearchPath(false, List.copyOf(candidates));
  }

  private static SearchPath named(String origin, String value) {
    try {
      return new SearchPath(
          true, List.of(new FileCandidate(origin, Setting.file(value, FILE_NAME))));
    } catch (UnsatisfiedLinkError e) {
      throw new NativeLibrary.WrongSetting(e);
    }
  }

  /** The folder of the project that contains these classes. */
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

  /**
   * The first candidate that exists.
   *
   * @throws UnsatisfiedLinkError if no candidate exists, or the first one cannot be used; the
   *     message says what was looked for, where, and what to do
   */
  Path find() {
    return candidates.stream()
        .map(Candidate::find)
        .flatMap(Optional::stream)
        .findFirst()
        .orElseThrow(
            () -> {
              String tried =
                  candidates.stream().map(Candidate::toString).collect(Collectors.joining(", "));
              return new UnsatisfiedLinkError(
                  named
                      ? "there is no library "
                          + tried
                          + ": name the file "
                          + FILE_NAME
                          + " or the folder that it is in"
                      : FILE_NAME
                          + " not found; tried: "
                          + (tried.isEmpty() ? "nothing" : tried)
                          + ". Add the jar panamoe-native (on a module path its module too, by"
                          + " --add-modules), build native/ (CMake preset release), or name the file or its folder with -D"
                          + PROPERTY
                          + " or the environment variable "
                          + VARIABLE);
            });
  }

  private static Optional<Path> codeLocation() {
    CodeSource source = SearchPath.class.getProtectionDomain().getCodeSource();
    if (source == null || !"file".equals(source.getLocation().getProtocol())) {
      return Optional.empty();
    }
    try {
      return Optional.of(Path.of(source.getLocation().toURI()));
    } catch (URISyntaxException e) {
      throw new AssertionError(
          "a class loader gave a malformed location: " + source.getLocation(), e);
    }
  }
}

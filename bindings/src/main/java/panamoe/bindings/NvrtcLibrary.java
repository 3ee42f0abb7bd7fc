package panamoe.bindings;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Finds and loads NVRTC of CUDA 12, NVIDIA's run-time compiler, from the user's CUDA or from {@code
 * ci/fetch/nvrtc}. Its built-in functions are a second library in the same folder, which must be
 * loaded first. If {@code panamoe.nvrtc.path} or {@code PANAMOE_NVRTC_PATH} names a folder, only
 * that is searched. Thread-safe.
 */
public final class NvrtcLibrary {
  static final String FILE_NAME = "libnvrtc.so.12";
  static final String BUILTINS_PREFIX = "libnvrtc-builtins.so.12.";
  static final String PROPERTY = "panamoe.nvrtc.path";
  static final String VARIABLE = "PANAMOE_NVRTC_PATH";
  private static final List<String> CUDA_FOLDERS =
      List.of("lib64", "lib", "targets/x86_64-linux/lib");

  private NvrtcLibrary() {}

  /**
   * A candidate folder and the setting it comes from.
   *
   * @param named whether {@code panamoe.nvrtc.path} or {@code PANAMOE_NVRTC_PATH} names it; then it
   *     is the only candidate
   */
  record Place(String origin, Path folder, boolean named) {
    Place(String origin, Path folder) {
      this(origin, folder, false);
    }
  }

  /**
   * Loads the library if needed, once per process.
   *
   * @return its file
   * @throws UnsatisfiedLinkError if it was not found; the message says what was looked for, where,
   *     and what to do
   */
  public static Path load() {
    return load(placesOfProcess());
  }

  /**
   * The file that {@link #load()} would load; empty if it was not found.
   *
   * @throws UnsatisfiedLinkError if a setting names a folder without it
   */
  public static Optional<Path> find() {
    return find(placesOfProcess());
  }

  static Path load(List<Place> places) {
    Path file = find(places).orElseThrow(() -> new UnsatisfiedLinkError(notFound(places)));
    SharedObject.open(builtinsBeside(file));
    SharedObject.open(file);
    return file;
  }

  static Optional<Path> find(List<Place> places) {
    Optional<Path> file =
        places.stream()
            .map(place -> place.folder().resolve(FILE_NAME))
            .filter(Files::isRegularFile)
            .findFirst();
    Place first = places.getFirst();
    if (file.isEmpty() && first.named()) {
      throw new UnsatisfiedLinkError(
          "there is no "
              + FILE_NAME
              + " in "
              + first.folder()
              + ", which "
              + first.origin()
              + " names: name the folder that NVRTC of CUDA 12 is in, or unset it to have NVRTC looked for");
    }
    return file;
  }

  private static Path builtinsBeside(Path file) {
    Path folder = file.getParent();
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(other -> other.getFileName().toString().startsWith(BUILTINS_PREFIX))
          .min(Comparator.comparing(Path::toString))
          .orElseThrow(
              () ->
                  new UnsatisfiedLinkError(
                      String.format(
                          Locale.ROOT,
                          "NVRTC is not whole: %s lies in %s without its %s*",
                          FILE_NAME,
                          folder,
                          BUILTINS_PREFIX)));
    } catch (IOException e) {
      throw new UnsatisfiedLinkError(
          "cannot list " + folder + ", where " + FILE_NAME + " was found: " + e.getMessage());
    }
  }

  /** The candidate folders of this process, in order. */
  static List<Place> placesOfProcess() {
    return places(
        System.getProperty(PROPERTY),
        System.getProperty("java.library.path"),
        System.getenv(),
        Path.of("/"),
        SearchPath.project().orElse(null));
  }

  /**
   * @param property the only folder to search; null if not set
   * @param libraryPath folders, separated as in {@code java.library.path}; null if not set
   * @param environment CUDA_HOME, CUDA_PATH, LD_LIBRARY_PATH, XDG_CACHE_HOME, HOME and
   *     PANAMOE_NVRTC_PATH
   * @param system the root folder of the system
   * @param project this project's folder; null if these classes are outside of it
   */
  static List<Place> places(
      String property,
      String libraryPath,
      Map<String, String> environment,
      Path system,
      Path project) {
    if (Setting.isSet(property)) {
      return named("-D" + PROPERTY, property);
    }
    if (Setting.isSet(environment.get(VARIABLE))) {
      return named(VARIABLE, environment.get(VARIABLE));
    }
    List<Place> places = new ArrayList<>();
    for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
      if (Setting.isSet(environment.get(variable))) {
        addCuda(places, variable, Path.of(environment.get(variable)));
      }
    }
    installedToolkits(system).forEach(toolkit -> addCuda(places, "CUDA's usual place", toolkit));
    addAll(places, "java.library.path", libraryPath);
    addAll(places, "LD_LIBRARY_PATH", environment.get("LD_LIBRARY_PATH"));
    systemFolders(system).forEach(folder -> places.add(new Place("ldconfig", folder)));
    if (project != null) {
      places.add(new Place("ci/fetch/nvrtc", project.resolve("build/nvrtc")));
    }
    String cache = environment.get("XDG_CACHE_HOME");
    String home = environment.get("HOME");
    if (Setting.isSet(cache) || Setting.isSet(home)) {
      Path caches = Setting.isSet(cache) ? Path.of(cache) : Path.of(home, ".cache");
      places.add(new Place("cache", caches.resolve("panamoe/nvrtc").toAbsolutePath()));
    }
    return List.copyOf(new LinkedHashSet<>(places));
  }

  private static List<Place> named(String origin, String folder) {
    return List.of(new Place(origin, Setting.path(folder, FILE_NAME), true));
  }

  private static void addAll(List<Place> places, String origin, String folders) {
    Setting.folders(folders).forEach(folder -> places.add(new Place(origin, folder)));
  }

  private static void addCuda(List<Place> places, String origin, Path toolkit) {
    CUDA_FOLDERS.forEach(
        folder -> places.add(new Place(origin, toolkit.toAbsolutePath().resolve(folder))));
  }

  /** {@code /usr/local/cuda*}, the one without a version first, then the newest. */
  private static List<Path> installedToolkits(Path system) {
    try (Stream<Path> folders = Files.list(system.resolve("usr/local"))) {
      return folders
          .filter(folder -> folder.getFileName().toString().startsWith("cuda"))
          .sorted(
              Comparator.comparing((Path folder) -> folder.getFileName().toString().contains("-"))
                  .thenComparing(Comparator.reverseOrder()))
          .toList();
    } catch (IOException _) {
      return List.of();
    }
  }

  /**
   * The folders of the system's loader: those in ldconfig's configuration, and the built-in ones.
   */
  private static Set<Path> systemFolders(Path system) {
    Set<Path> folders = new LinkedHashSet<>();
    try (Stream<Path> files = Files.list(system.resolve("etc/ld.so.conf.d"))) {
      for (Path file : files.sorted().toList()) {
        try (Stream<String> lines = Files.lines(file)) {
          lines
              .map(String::strip)
              .filter(line -> line.startsWith("/"))
              .forEach(line -> folders.add(system.resolve(line.substring(1))));
        }
      }
    } catch (IOException | UncheckedIOException _) {
      // Without the configuration the built-in folders remain.
    }
    Stream.of("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
        .map(system::resolve)
        .forEach(folders::add);
    return folders;
  }

  private static String notFound(List<Place> places) {
    return String.format(
        Locale.ROOT,
        "NVRTC of CUDA 12 is not there: no %s in %s; install CUDA 12, or run ci/fetch/nvrtc, or name its folder with -D%s"
            + " or %s",
        FILE_NAME,
        places.stream()
            .map(place -> place.folder() + " (" + place.origin() + ")")
            .collect(Collectors.joining(", ")),
        PROPERTY,
        VARIABLE);
  }
}

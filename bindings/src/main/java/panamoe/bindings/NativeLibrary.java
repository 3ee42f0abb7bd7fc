package panamoe.bindings;

import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The one loader of the native library, {@code libpanamoe.so}. Call {@link #ensureAvailable()} before the first
 * function of {@link Moe}.
 *
 * <p>Tried in this order; the first file that exists is loaded, once for the life of the process:
 *
 * <ol>
 *   <li>the system property {@code panamoe.native.path}: a file or a directory
 *   <li>the environment variable {@code PANAMOE_NATIVE_PATH}: a file or a directory
 *   <li>{@code native/build/release} of the project that these classes lie in
 *   <li>the directories of {@code java.library.path}
 * </ol>
 *
 * <p>Thread-safe.
 */
public final class NativeLibrary {
  private NativeLibrary() {}

  /** Whether the library is loaded and speaks this version of the ABI; loads it if need be. */
  public static boolean isAvailable() {
    return Loaded.FAILURE.isEmpty();
  }

  /**
   * Loads the library if need be.
   *
   * @throws UnsatisfiedLinkError if it was not found, cannot be loaded or has another ABI version; the message says
   *     which files were tried and what to do
   */
  public static void ensureAvailable() {
    if (Loaded.FAILURE.isPresent()) {
      UnsatisfiedLinkError failure = Loaded.FAILURE.get();
      // A new error each time: its stack trace shows who needed the library.
      throw unsatisfied(failure.getMessage(), failure);
    }
  }

  /** Why the library is not available; empty when it is. */
  public static Optional<UnsatisfiedLinkError> unavailabilityCause() {
    return Loaded.FAILURE;
  }

  /** The file that was loaded; empty when the library is not available. */
  public static Optional<Path> file() {
    return Loaded.FILE;
  }

  /** Initialized by the JVM at most once, under its lock, when it is first asked for. */
  private static final class Loaded {
    static final Optional<Path> FILE;
    static final Optional<UnsatisfiedLinkError> FAILURE;

    static {
      Path file = null;
      UnsatisfiedLinkError failure = null;
      try {
        file = load(SearchPath.ofProcess());
      } catch (UnsatisfiedLinkError e) {
        failure = e;
      }
      FILE = Optional.ofNullable(file);
      FAILURE = Optional.ofNullable(failure);
    }
  }

  /** Gives back the file that was loaded. */
  static Path load(SearchPath path) {
    Path file = path.find().orElseThrow(() -> new UnsatisfiedLinkError(notFound(path)));
    try {
      System.load(file.toString());
    } catch (IllegalCallerException e) {
      throw unsatisfied("native access is not enabled: start java with --enable-native-access=" + moduleName(), e);
    } catch (UnsatisfiedLinkError e) {
      throw unsatisfied("cannot load " + e.getMessage(), e); // the JVM's message starts with the file
    }
    if (SymbolLookup.loaderLookup().find("moe_abi_version").isEmpty()) {
      throw new UnsatisfiedLinkError(file + " has no function moe_abi_version: it is not the library of Panamoe");
    }
    checkVersion(file, Moe.moe_abi_version(), Moe.MOE_ABI_VERSION());
    return file;
  }

  static void checkVersion(Path file, int library, int bindings) {
    if (library != bindings) {
      throw new UnsatisfiedLinkError(
          "%s has ABI version %d, the Java bindings have %d: build both from the same source"
              .formatted(file, library, bindings));
    }
  }

  private static String notFound(SearchPath path) {
    return "%s not found. Tried:%n%s%nBuild native/ (CMake preset release), or name the file or its directory with -D%s"
        .formatted(SearchPath.FILE_NAME, path.describe(), SearchPath.PROPERTY)
        + " or the environment variable " + SearchPath.VARIABLE;
  }

  private static String moduleName() {
    Module module = NativeLibrary.class.getModule();
    return module.isNamed() ? module.getName() : "ALL-UNNAMED";
  }

  private static UnsatisfiedLinkError unsatisfied(String message, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}

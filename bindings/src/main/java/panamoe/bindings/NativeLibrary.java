package panamoe.bindings;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;

/**
 * Loads the native library, {@code libpanamoe.so}. Call {@link #ensureAvailable()} before the first
 * function of {@link Moe}.
 *
 * <p>If the system property {@code panamoe.native.path}, or else the environment variable {@code
 * PANAMOE_NATIVE_PATH}, names a file or a directory, only that place is searched. Otherwise these
 * are tried in order, and the first file that exists is loaded, once per process for all class
 * loaders:
 *
 * <ol>
 *   <li>{@code native/build/release} of the project that contains these classes
 *   <li>a jar of {@code panamoe-native}; the library is unpacked into a folder of the user
 *   <li>the directories of {@code java.library.path}
 * </ol>
 *
 * <p>Thread-safe.
 */
public final class NativeLibrary {
  /** The functions of {@link Moe}. The first look-up loads the library. */
  static final SymbolLookup SYMBOLS =
      name -> Loaded.LIBRARY.flatMap(library -> library.symbols().find(name));

  private NativeLibrary() {}

  /** Whether the library can be loaded and has this version of the ABI. Loads it if needed. */
  public static boolean isAvailable() {
    return Loaded.FAILURE.isEmpty();
  }

  /**
   * Loads the library if needed.
   *
   * @throws UnsatisfiedLinkError if it was not found, cannot be loaded or has another ABI version;
   *     the message says which files were tried and what to do
   */
  public static void ensureAvailable() {
    if (Loaded.FAILURE.isPresent()) {
      UnsatisfiedLinkError failure = Loaded.FAILURE.get();
      // A new error each time: its stack trace shows who needed the library.
      throw SharedObject.unsatisfied(failure.getMessage(), failure);
    }
  }

  /**
   * Throws if a setting names the library but it cannot be loaded from there, in which case nothing
   * may replace it.
   *
   * @throws UnsatisfiedLinkError that names the setting and the file
   */
  public static void refuseWrongSetting() {
    if (Loaded.FAILURE.orElse(null) instanceof WrongSetting) {
      ensureAvailable();
    }
  }

  /** Why the library is not available; empty if it is. */
  public static Optional<UnsatisfiedLinkError> unavailabilityCause() {
    return Loaded.FAILURE;
  }

  /** The loaded file; empty if the library is not available. */
  public static Optional<Path> file() {
    return Loaded.LIBRARY.map(Library::file);
  }

  /** The loaded file and its functions. */
  record Library(Path file, SymbolLookup symbols) {}

  /** The library that a setting names does not exist or cannot be loaded. */
  static final class WrongSetting extends UnsatisfiedLinkError {
    private static final long serialVersionUID = 1;

    WrongSetting(UnsatisfiedLinkError cause) {
      super(cause.getMessage());
      initCause(cause);
    }
  }

  /** The JVM initializes this class at most once, under its lock, at first use. */
  private static final class Loaded {
    static final Optional<Library> LIBRARY;
    static final Optional<UnsatisfiedLinkError> FAILURE;

    static {
      Library library = null;
      UnsatisfiedLinkError failure = null;
      try {
        library = load(SearchPath.ofProcess());
      } catch (UnsatisfiedLinkError e) {
        failure = e;
      }
      LIBRARY = Optional.ofNullable(library);
      FAILURE = Optional.ofNullable(failure);
    }
  }

  static Library load(SearchPath path) {
    try {
      Platform.ofProcess().requireSupported();
      SharedObject.requireNativeAccess();
      return load(path.find());
    } catch (UnsatisfiedLinkError e) {
      throw path.named() ? new WrongSetting(e) : e;
    }
  }

  private static Library load(Path file) {
    SymbolLookup symbols = SharedObject.open(file);
    checkVersion(file, version(file, symbols), Moe.MOE_ABI_VERSION());
    return new Library(file, symbols);
  }

  /** Calls {@code moe_abi_version} without {@link Moe}, whose look-ups would wait for this call. */
  private static int version(Path file, SymbolLookup symbols) {
    MethodHandle version =
        symbols
            .find("moe_abi_version")
            .map(
                address ->
                    Linker.nativeLinker()
                        .downcallHandle(address, FunctionDescriptor.of(ValueLayout.JAVA_INT)))
            .orElseThrow(
                () ->
                    new UnsatisfiedLinkError(
                        file
                            + " has no function moe_abi_version: it is not the library of Panamoe"));
    try {
      return (int) version.invokeExact();
    } catch (Throwable e) {
      throw new AssertionError("moe_abi_version throws nothing", e);
    }
  }

  static void checkVersion(Path file, int library, int bindings) {
    if (library != bindings) {
      throw new UnsatisfiedLinkError(
          String.format(
              Locale.ROOT,
              "%s has ABI version %d, the Java bindings have %d: build both from the same source",
              file,
              library,
              bindings));
    }
  }
}

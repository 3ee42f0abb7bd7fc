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
 * The one loader of the native library, {@code libpanamoe.so}. Call {@link #ensureAvailable()}
 * before the first function of {@link Moe}.
 *
 * <p>Where the system property {@code panamoe.native.path} names a file or a directory, or else the
 * environment variable {@code PANAMOE_NATIVE_PATH}, the library is there or nowhere. Without either
 * these are tried in order, and the first file that exists is loaded, once for the life of the
 * process and for each class loader that has this class:
 *
 * <ol>
 *   <li>{@code native/build/release} of the project that these classes lie in
 *   <li>the directories of {@code java.library.path}
 * </ol>
 *
 * <p>Thread-safe.
 */
public final class NativeLibrary {
  /**
   * Where {@link Moe} looks for its functions; it loads the library when it is first asked for one.
   */
  static final SymbolLookup SYMBOLS =
      name -> Loaded.LIBRARY.flatMap(library -> library.symbols().find(name));

  private NativeLibrary() {}

  /** Whether the library is loaded and speaks this version of the ABI; loads it if need be. */
  public static boolean isAvailable() {
    return Loaded.FAILURE.isEmpty();
  }

  /**
   * Loads the library if need be.
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
   * Returns unless the user named the library by a setting and it cannot be had there: then nothing
   * else may serve in its stead.
   *
   * @throws UnsatisfiedLinkError that says what was named and what was looked for
   */
  public static void refuseWrongSetting() {
    if (Loaded.FAILURE.orElse(null) instanceof WrongSetting) {
      ensureAvailable();
    }
  }

  /** Why the library is not available; empty when it is. */
  public static Optional<UnsatisfiedLinkError> unavailabilityCause() {
    return Loaded.FAILURE;
  }

  /** The file that was loaded; empty when the library is not available. */
  public static Optional<Path> file() {
    return Loaded.LIBRARY.map(Library::file);
  }

  /** The file that was loaded, and its functions. */
  record Library(Path file, SymbolLookup symbols) {}

  /** The library that a setting names is not there or cannot be loaded. */
  static final class WrongSetting extends UnsatisfiedLinkError {
    private static final long serialVersionUID = 1;

    WrongSetting(UnsatisfiedLinkError cause) {
      super(cause.getMessage());
      initCause(cause);
    }
  }

  /** Initialized by the JVM at most once, under its lock, when it is first asked for. */
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

  /**
   * Calls the function past {@link Moe}, which would wait for this very call to learn where its
   * functions are.
   */
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

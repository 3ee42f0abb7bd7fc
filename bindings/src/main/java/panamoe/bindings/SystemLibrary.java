package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A third-party library that may be missing, such as Open MPI's. It is opened when first needed, so
 * that everything else runs without it; until then it has no functions. Thread-safe.
 */
public final class SystemLibrary implements SymbolLookup {
  private final String words;
  private final String fileName;
  private final String property;
  private final String variable;
  private final String advice;
  private SymbolLookup opened;

  /**
   * @param words its name in messages
   * @param fileName such as {@code libmpi.so.40}
   * @param property system property that names the file or its directory, if the system's loader
   *     does not find it
   * @param variable environment variable for the same
   * @param advice how to get it
   */
  public SystemLibrary(
      String words, String fileName, String property, String variable, String advice) {
    this.words = words;
    this.fileName = fileName;
    this.property = property;
    this.variable = variable;
    this.advice = advice;
  }

  /**
   * Opens the library. Later calls only check that a file named by a setting still exists.
   *
   * @throws UnsatisfiedLinkError if it was not found or cannot be loaded, or native access is not
   *     enabled; the message says what was looked for, where, and what to do
   */
  public synchronized void load() {
    Optional<Path> named = named();
    if (opened == null) {
      SharedObject.requireNativeAccess();
      opened = named.map(SharedObject::open).orElseGet(this::openSystemsOwn);
    }
  }

  @Override
  public synchronized Optional<MemorySegment> find(String name) {
    return opened == null ? Optional.empty() : opened.find(name);
  }

  /** The file that a setting names. */
  private Optional<Path> named() {
    Optional<Path> file =
        Stream.of(System.getProperty(property), System.getenv(variable))
            .filter(Setting::isSet)
            .map(setting -> Setting.file(setting, fileName))
            .findFirst();
    if (file.isPresent() && !Files.isRegularFile(file.get())) {
      throw new UnsatisfiedLinkError(
          words
              + " is not there: no file "
              + file.get()
              + ", which -D"
              + property
              + " or "
              + variable
              + " names");
    }
    return file;
  }

  /** Opens the file by the search rules of the system's loader. */
  private SymbolLookup openSystemsOwn() {
    try {
      return SymbolLookup.libraryLookup(fileName, Arena.global());
    } catch (IllegalArgumentException _) {
      String path = System.getenv("LD_LIBRARY_PATH");
      throw new UnsatisfiedLinkError(
          String.format(
              Locale.ROOT,
              "%s is not there: %s was looked for in LD_LIBRARY_PATH (%s) and in the system's folders (ldconfig -p);"
                  + " %s, or name the file with -D%s or %s",
              words,
              fileName,
              path == null ? "not set" : path,
              advice,
              property,
              variable));
    }
  }
}

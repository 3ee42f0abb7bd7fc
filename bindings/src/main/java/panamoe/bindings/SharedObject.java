package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;

/**
 * Opens libraries for the lifetime of the process. {@link System#load} binds a file to one class
 * loader and refuses it to all others; a {@link SymbolLookup} serves any number of them.
 * Thread-safe.
 */
final class SharedObject {
  private SharedObject() {}

  /**
   * Opens a file, once per process.
   *
   * @return the look-up of its functions
   * @throws UnsatisfiedLinkError if it cannot be loaded, or native access is not enabled; the
   *     message is one sentence
   */
  static SymbolLookup open(Path file) {
    requireNativeAccess();
    ElfFile.requireWhole(file);
    try {
      return SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      try {
        System.load(
            file.toString()); // System.load reports the loader's message, which SymbolLookup hides
      } catch (UnsatisfiedLinkError reason) {
        throw unsatisfied("cannot load " + reason.getMessage(), e);
      }
      return SymbolLookup.libraryLookup(
          file, Arena.global()); // the file has become loadable meanwhile
    }
  }

  /**
   * Returns if this module may call restricted methods, with or without a warning.
   *
   * @throws UnsatisfiedLinkError that names the missing flag
   */
  static void requireNativeAccess() {
    try {
      MemorySegment.NULL.reinterpret(0); // a restricted method without effect
    } catch (IllegalCallerException e) {
      Module module = SharedObject.class.getModule();
      String name = module.isNamed() ? module.getName() : "ALL-UNNAMED";
      throw unsatisfied(
          "native access is not enabled: start java with --enable-native-access=" + name, e);
    }
  }

  static UnsatisfiedLinkError unsatisfied(String message, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}

package panamoe.bindings;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;

/**
 * Opens libraries for the life of the process. {@link System#load} binds a file to one class loader
 * and refuses it to every other one; a {@link SymbolLookup} of its own serves any number of them.
 * Thread-safe.
 */
final class SharedObject {
  private SharedObject() {}

  /**
   * Opens a file; what is open already is not opened twice.
   *
   * @return finds its functions
   * @throws UnsatisfiedLinkError if it cannot be loaded, or native access is not enabled; one
   *     sentence
   */
  static SymbolLookup open(Path file) {
    requireNativeAccess();
    ElfFile.requireWhole(file);
    try {
      return SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      try {
        System.load(
            file.toString()); // for the sentence of the system's loader, which a lookup keeps to
        // itself
      } catch (UnsatisfiedLinkError reason) {
        throw unsatisfied("cannot load " + reason.getMessage(), e);
      }
      return SymbolLookup.libraryLookup(file, Arena.global()); // it came meanwhile
    }
  }

  /**
   * Returns where the JVM lets this module call restricted methods, be it with a warning.
   *
   * @throws UnsatisfiedLinkError that names the flag which is missing
   */
  static void requireNativeAccess() {
    try {
      MemorySegment.NULL.reinterpret(0); // restricted, and does nothing
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

package panamoe.runtimekernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Loads JCuda with a private {@code java.io.tmpdir}. JCuda unpacks its native library there under a
 * fixed name and loads an existing file, which may be half written by another process or come from
 * another user. Setting the property does not affect the JDK, which reads it at startup.
 */
final class PrivateUnpacking {
  private static final String TEMPORARY = "java.io.tmpdir";

  private PrivateUnpacking() {}

  /**
   * Initializes a class of JCuda.
   *
   * @throws UnsatisfiedLinkError if JCuda or its native library is not there; one sentence
   */
  static synchronized void load(String className) {
    String usual = System.getProperty(TEMPORARY);
    Path folder = null;
    try {
      folder = Files.createTempDirectory("panamoe-jcuda");
      System.setProperty(TEMPORARY, folder.toString());
      Class.forName(className);
    } catch (ClassNotFoundException e) {
      throw unsatisfied(
          "JCuda is not there: no class "
              + className
              + " on the class path; add org.jcuda:jcuda:12.6.0 and org.jcuda:jcuda-natives:12.6.0:linux-x86_64",
          e);
    } catch (LinkageError e) {
      String why =
          e.getMessage() == null ? e.toString() : e.getMessage().lines().findFirst().orElse("");
      throw unsatisfied(
          "JCuda's native library cannot be loaded; add org.jcuda:jcuda-natives:12.6.0:linux-x86_64 to"
              + " the class path, and --enable-native-access=ALL-UNNAMED to java: "
              + why,
          e);
    } catch (IOException e) {
      throw unsatisfied(
          "JCuda's native library cannot be unpacked in " + usual + ": " + e.getMessage(), e);
    } finally {
      System.setProperty(TEMPORARY, usual);
      delete(folder);
    }
  }

  /** Deletes the folder; a loaded library does not need its file. */
  private static void delete(Path folder) {
    if (folder == null) {
      return;
    }
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> unpacked = files.toList();
      for (Path file : unpacked) {
        Files.delete(file);
      }
      Files.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot delete the temporary folder " + folder, e);
    }
  }

  private static UnsatisfiedLinkError unsatisfied(String message, Throwable cause) {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message);
    error.initCause(cause);
    return error;
  }
}

package panamoe.rtc;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * JCuda unpacks its native library to {@code java.io.tmpdir} under a name that never changes, and
 * takes what lies there: a half-written file of another process, or the file of a stranger. Here it
 * gets a folder of its own for that moment. The JDK itself read the property when it started.
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

  /** What is loaded stays loaded without its file. */
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

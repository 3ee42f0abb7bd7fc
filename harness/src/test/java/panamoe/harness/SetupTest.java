package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The scripts that prepare the machine. */
class SetupTest {
  private static final Path CI = Path.of("..", "ci").toAbsolutePath().normalize();

  @TempDir Path folder;

  @Test
  void findsAJdk25ThatOnlyAVariableNames() throws Exception {
    Path jdk = jdk("25.0.5.1");
    assertEquals(jdk.toString(), jdkFoundWith(jdk, jdk("21.0.25")));
  }

  @Test
  void passesOverAnotherVersion() throws Exception {
    Path jdk = jdk("25.0.5.1");
    assertEquals(jdk.toString(), jdkFoundWith(jdk("21.0.25"), jdk));
  }

  private Path jdk(String version) throws IOException {
    Path home = Files.createDirectories(folder.resolve("some jdk " + version));
    Path javac = Files.createDirectories(home.resolve("bin")).resolve("javac");
    Files.createFile(javac, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
    Files.writeString(home.resolve("release"), "IMPLEMENTOR=\"N/A\"\nJAVA_VERSION=\"" + version + "\"\n");
    return home;
  }

  private static String jdkFoundWith(Path java25Home, Path javaHome) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(CI.resolve("jdk").toString());
    builder.environment().put("JAVA25_HOME", java25Home.toString());
    builder.environment().put("JAVA_HOME", javaHome.toString());
    Process process = builder.start();
    String found = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertEquals(0, process.waitFor(), found);
    return found;
  }
}

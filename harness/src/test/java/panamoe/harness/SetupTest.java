package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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
    ProcessBuilder builder = new ProcessBuilder(CI.resolve("machine/jdk").toString());
    builder.environment().remove("JAVA25_HOME");
    builder.environment().put("JAVA_HOME", jdk("21.0.25").toString());
    String found = output(builder);
    assertFalse(found.contains("21.0.25"), found);
    builder.environment().put("JAVA25_HOME", "");
    builder.environment().put("JAVA_HOME", jdk.toString());
    assertEquals(jdk.toString(), output(builder));
  }

  @ParameterizedTest
  @ValueSource(strings = {"machine/jdk", "setup", "maven"})
  void aWrongVariableIsNamed(String script) throws Exception {
    Path jdk = jdk("21.0.25");
    ProcessBuilder builder = new ProcessBuilder(CI.resolve(script).toString());
    builder.environment().put("JAVA25_HOME", jdk.toString());
    Process process = builder.redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertNotEquals(0, process.waitFor());
    assertEquals(
        "panamoe: JAVA25_HOME is "
            + jdk
            + ", which is not the home of a JDK 25: correct it or unset it\n",
        said);
  }

  @ParameterizedTest
  @CsvSource({
    "'', n, false",
    "'', '', true",
    "--yes, n, true",
  })
  void onATerminalItAsksUnlessToldNotTo(String option, String answer, boolean installs)
      throws Exception {
    Path calls = folder.resolve("calls");
    for (String tool : List.of("apt-get", "apt-cache", "sudo")) {
      String body = tool.equals("apt-get") ? "echo \"$@\" >>'" + calls + "'" : "echo \"$@\"";
      Path file = Files.writeString(folder.resolve(tool), "#!/bin/sh\n" + body + "\n");
      assertTrue(file.toFile().setExecutable(true));
    }
    // script(1) lends a terminal; without a compiler the machine lacks something.
    String command = CI.resolve("setup") + " " + option;
    ProcessBuilder builder =
        new ProcessBuilder("script", "--quiet", "--command", command, "/dev/null");
    builder.environment().merge("PATH", folder + ":", (path, own) -> own + path);
    builder.environment().put("CXX", "false");
    builder.environment().remove("PANAMOE_YES");
    Process process = builder.redirectErrorStream(true).start();
    try (Writer terminal = process.outputWriter()) {
      terminal.write(answer + "\n");
    }
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    assertTrue(said.contains("apt-get: ") && said.contains("g++"), said);
    assertEquals(option.isEmpty(), said.contains("install them now? [Y/n]"), said);
    assertEquals(installs, Files.exists(calls), said);
    assertEquals(!installs, said.contains("nothing was installed"), said);
  }

  @Test
  void aUserWithoutAHomeHasNoRepositoryNamedQuestionMark() throws Exception {
    Path project = Files.createDirectory(folder.resolve("a project"));
    Path ci = Files.createDirectory(project.resolve("ci"));
    Files.createDirectory(ci.resolve("machine"));
    for (String name : List.of("maven", "machine/jdk", "machine/home")) {
      Files.copy(CI.resolve(name), ci.resolve(name), StandardCopyOption.COPY_ATTRIBUTES);
    }
    // An own getent that knows nobody, and a Maven that says its home, its options and its
    // arguments.
    Path bin = Files.createDirectory(folder.resolve("bin"));
    for (String script : List.of("getent exit 2", "mvn echo \"$HOME|$MAVEN_OPTS|$*\"")) {
      String[] words = script.split(" ", 2);
      Path file = Files.writeString(bin.resolve(words[0]), "#!/bin/sh\n" + words[1] + "\n");
      assertTrue(file.toFile().setExecutable(true));
    }
    ProcessBuilder builder =
        new ProcessBuilder(ci.resolve("maven").toString()).redirectErrorStream(true);
    builder.environment().merge("PATH", bin + ":", (path, own) -> own + path);
    builder.environment().put("JAVA25_HOME", jdk("25.0.5.1").toString());
    builder.environment().remove("MAVEN_OPTS");
    builder.environment().put("HOME", "/a/home");
    String said = output(builder);
    assertTrue(said.startsWith("/a/home|--sun-misc"), said);
    builder.environment().remove("HOME");
    // Java takes HOME where the system knows no home; the words of MAVEN_OPTS cannot hold a space.
    assertEquals(said.replace("/a/home|", project.resolve("build/home") + "|"), output(builder));
  }

  private static String output(ProcessBuilder builder) throws Exception {
    Process process = builder.start();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertEquals(0, process.waitFor(), said);
    return said;
  }

  private Path jdk(String version) throws IOException {
    Path home = Files.createDirectories(folder.resolve("some jdk " + version));
    Path javac = Files.createDirectories(home.resolve("bin")).resolve("javac");
    Files.createFile(
        javac, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
    Files.writeString(
        home.resolve("release"), "IMPLEMENTOR=\"N/A\"\nJAVA_VERSION=\"" + version + "\"\n");
    return home;
  }

  private static String jdkFoundWith(Path java25Home, Path javaHome) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(CI.resolve("machine/jdk").toString());
    builder.environment().put("JAVA25_HOME", java25Home.toString());
    builder.environment().put("JAVA_HOME", javaHome.toString());
    return output(builder);
  }
}

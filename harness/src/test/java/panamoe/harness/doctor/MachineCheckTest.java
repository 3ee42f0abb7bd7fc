package panamoe.harness.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import tools.jackson.databind.json.JsonMapper;

/** Tests the build's requirements, on this machine and on one with only the test's programs. */
class MachineCheckTest {
  private static final Set<String> REQUIRED =
      Set.of("JDK", "C++ compiler", "CMake", "ninja", "Highway", "GoogleTest");

  @TempDir Path programs;

  private record Answer(boolean ready, List<Finding> findings) {
    Finding about(String topic) {
      return findings.stream()
          .filter(finding -> finding.topic().equals(topic))
          .findFirst()
          .orElseThrow();
    }
  }

  @Test
  void whatIsRequiredDoesNotDependOnWhatIsThere() throws Exception {
    assertEquals(REQUIRED, required(MachineCheck.findings()));
    Set<String> elsewhere = required(doctor().findings());
    elsewhere.remove("native library");
    assertEquals(REQUIRED, elsewhere);
  }

  @Test
  void aMachineThatCannotBuildIsToldWhatToDo() throws Exception {
    Answer answer = doctor();
    assertFalse(answer.ready());
    Map<String, String> packages =
        Map.of(
            "C++ compiler",
            "g++",
            "CMake",
            "cmake",
            "ninja",
            "ninja-build",
            "Highway",
            "libhwy-dev",
            "GoogleTest",
            "libgtest-dev");
    packages.forEach(
        (topic, name) -> {
          String advice = "the build needs it: ./ci/setup, or apt-get install " + name;
          assertEquals(new Finding(topic, null, true, advice), answer.about(topic));
        });
  }

  /** The compiler finds libraries that are not from a Debian package. */
  @Test
  void theCompilerKnowsWhatDebianDoesNot() throws Exception {
    compiler();
    Answer answer = doctor();
    assertEquals(
        new Finding("C++ compiler", "g++ 14.2.0", true, null), answer.about("C++ compiler"));
    assertEquals("/opt/include/hwy/highway.h", answer.about("Highway").found());
    assertNull(answer.about("GoogleTest").found());
  }

  /** A g++ that has Highway. */
  private void compiler() throws IOException {
    var executable =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x"));
    Files.writeString(
        Files.createFile(programs.resolve("g++"), executable),
        """
        #!/bin/sh
        case "$*" in
          -dumpfullversion) echo 14.2.0 ;;
          *hwy/highway.h*) echo 'null.o: /opt/include/hwy/base.h /opt/include/hwy/highway.h' ;;
          *) exit 1 ;;
        esac
        """);
  }

  /** The doctor's report with only {@link #programs} on the path. */
  private Answer doctor() throws Exception {
    ProcessBuilder builder = new ProcessBuilder(SmallJvm.command(Main.class, "doctor", "--json"));
    builder
        .redirectError(ProcessBuilder.Redirect.DISCARD)
        .environment()
        .put("PATH", programs.toString());
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor(), said);
    return JsonMapper.shared().readValue(said, Answer.class);
  }

  private static Set<String> required(List<Finding> findings) {
    return findings.stream()
        .filter(Finding::required)
        .map(Finding::topic)
        .collect(Collectors.toSet());
  }
}

package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher, in a copy of it beside something that it could remove or has to build. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LauncherTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "clean, --help, 0, Removes everything that was built",
    "clean, now, 2, clean takes no arguments",
    "build, -h, 0, Builds everything",
    "test, quick, 2, test takes no arguments",
  })
  void explainsItselfAndDoesNothing(String command, String argument, int exitCode, String words)
      throws IOException, InterruptedException {
    Path built = Files.createDirectory(folder.resolve("build"));
    String said = launch(exitCode, command, argument);
    assertTrue(said.contains(words), said);
    assertTrue(Files.exists(built), said);
  }

  @Test
  void startsWhatIsBuiltAsItIs() throws IOException, InterruptedException {
    buildAnHourAgo();
    assertEquals("started\n", launch(0, "doctor"));
  }

  @ParameterizedTest
  @ValueSource(strings = {
    "runtime/src/main/Some.java",
    "native/include/moe/gate.h",
    "native/cuda/rtc/gate.cu",
    "native/cuda/reduce.h",
    "bindings/foreign/mpi.symbols",
    "bindings/headers.sha256",
  })
  void buildsTheJavaPartAnewWhenWhatIsInItHasChanged(String source) throws IOException, InterruptedException {
    buildAnHourAgo();
    setTime(folder.resolve(source), Duration.ofMinutes(30));
    setTime(folder.resolve("build/native.stamp"), Duration.ZERO);
    String said = launch(0, "doctor");
    assertTrue(said.contains("building the Java part") && said.endsWith("started\n"), said);
  }

  @Test
  void whatWasBuiltInAnotherPlaceIsBuiltAnew() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("native/build/release/CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere/native\n");
    write("ci/maven", "#!/bin/sh\nmkdir -p %1$s && >%1$s/classpath\n".formatted(folder.resolve("harness/target")));
    String said = ended(0, startWithCmake("exit 0"));
    assertTrue(said.startsWith("panamoe: this checkout was built in another place, and is built anew\n"), said);
    assertTrue(said.contains("building the native library") && said.endsWith("started\n"), said);
    assertTrue(Files.notExists(folder.resolve("native/build")));
  }

  @Test
  void aLibraryThatIsGoneIsBuiltAnew() throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.delete(folder.resolve("native/build/release/libpanamoe.so"));
    String said = ended(0, startWithCmake("exit 0"));
    assertTrue(said.contains("building the native library") && said.endsWith("started\n"), said);
  }

  @Test
  void aBuildThatCannotBeConfiguredHasFailed() throws IOException, InterruptedException {
    buildAnHourAgo();
    setTime(folder.resolve("native/src/gate.cc"), Duration.ofMinutes(30));
    String said = ended(1, startWithCmake("[ \"$1\" != --preset ]"));
    assertTrue(said.contains("building the native library failed"), said);
  }

  private Process startWithCmake(String script) throws IOException {
    write("bin/cmake", "#!/bin/sh\n" + script + "\n");
    return start("env", "PATH=" + folder.resolve("bin") + ":" + System.getenv("PATH"), "bash", launcher(), "doctor");
  }

  @Test
  void aBuildThatCtrlCEndsHasNotFailed() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write("ci/maven", "#!/bin/sh\n>" + folder.resolve("building") + "\nsleep 60 || exit 1\n");
    // A terminal sends the signal to the whole group; a shell's background job would ignore it.
    Process build = start("env", "--default-signal=INT", "setsid", "bash", launcher(), "doctor");
    await("building");
    new ProcessBuilder("kill", "-INT", "--", "-" + build.pid()).start().waitFor();
    String said = ended(130, build);
    assertTrue(said.endsWith(" ... interrupted\n") && said.lines().count() == 1, said);
  }

  @Test
  void whoWaitsForAnothersBuildSaysSo() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write("ci/maven", "#!/bin/sh\n>%1$s/building\nwhile [ ! -e %1$s/go ]; do sleep 0.01; done\n".formatted(folder));
    Process first = start("bash", launcher(), "doctor");
    await("building");
    Process second = start("bash", launcher(), "doctor");
    String words = second.inputReader().readLine();
    write("go", "");
    assertEquals("panamoe: waiting for another build here to end", words);
    assertTrue(ended(0, first).endsWith("started\n"));
    assertEquals("started", second.inputReader().readLine());
  }

  @Test
  void whoMayNotBuildIsToldWhatToDo() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    Files.createDirectory(folder.resolve("build/lock")); // which not even root can write to
    String said = launch(1, "doctor");
    assertTrue(said.contains("cannot build: " + folder.resolve("build") + " is not writable") && said.lines().count() == 1, said);
  }

  @ParameterizedTest
  @CsvSource({
    "clean, build, cannot clean:",
    "clean, harness/target, cannot clean:",
    "doctor, native/build, cannot build:",
    "build, harness/target, cannot build:",
    "test, native/build, cannot test:",
  })
  void whereTheBuildIsAnothersThatIsOneSentence(String command, String name, String words)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write(name + "/file", "");
    write(name + "/other", "");
    File folderOfAnother = folder.resolve(name).toFile();
    assertTrue(folderOfAnother.setWritable(false));
    try {
      String said = ended(1, start(withoutRootsRights("bash", launcher(), command)));
      assertTrue(said.startsWith("panamoe: " + words + " " + folder.resolve(name)), said);
      assertEquals(1, said.lines().count(), said);
    } finally {
      assertTrue(folderOfAnother.setWritable(true));
    }
    assertTrue(Files.exists(folder.resolve(name).resolve("file")));
  }

  /** Root may write anywhere, unless it is run without the right to. */
  private static String[] withoutRootsRights(String... command) {
    boolean root = "root".equals(System.getProperty("user.name"));
    Stream<String> before = root ? Stream.of("setpriv", "--bounding-set=-dac_override") : Stream.of();
    return Stream.concat(before, Stream.of(command)).toArray(String[]::new);
  }

  @Test
  void aCardThatIsMissingIsOneSentence() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("ci/cuda", "#!/bin/sh\necho \"$1: no card\" >&2\nexit 1\n");
    assertEquals("--check: no card\n", launch(1, "doctor", "--device", "cuda"));
  }

  private void changeSource() throws IOException {
    setTime(folder.resolve("runtime/src/main/Some.java"), Duration.ofMinutes(30));
  }

  private void await(String file) throws InterruptedException {
    while (!Files.exists(folder.resolve(file))) {
      Thread.sleep(1);
    }
  }

  /** A project whose sources are two hours old, with a JDK and a Maven that do as if. */
  private void buildAnHourAgo() throws IOException {
    for (String source :
        List.of(
            "pom.xml", "bindings/pom.xml", "bindings/src/main/Some.java", "bindings/check-headers.sh",
            "bindings/headers.sha256", "bindings/foreign/mpi.symbols", "runtime/pom.xml", "runtime/src/main/Some.java",
            "java-api/pom.xml", "java-api/src/main/Some.java", "harness/pom.xml", "harness/src/main/Some.java",
            "native/CMakeLists.txt", "native/CMakePresets.json", "native/include/moe/gate.h", "native/src/gate.cc",
            "native/cpu/gate.cc", "native/bench/gate.cc", "native/cuda/reduce.h", "native/cuda/rtc/gate.cu",
            "native/build/release/libpanamoe.so", "build/native.stamp", "build/java.stamp",
            "harness/target/classpath")) {
      write(source, "");
    }
    for (String script : List.of("ci/setup", "ci/maven")) {
      write(script, "#!/bin/sh\n");
    }
    write("ci/jdk", "#!/bin/sh\necho " + folder.resolve("jdk") + "\n");
    write("jdk/bin/java", "#!/bin/sh\necho started\n");
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.toList()) {
        setTime(path, Duration.ofHours(path.getFileName().toString().endsWith(".stamp") ? 1 : 2));
      }
    }
  }

  private void write(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
    assertTrue(file.toFile().setExecutable(true));
  }

  private static void setTime(Path path, Duration ago) throws IOException {
    Files.setLastModifiedTime(path, FileTime.from(Instant.now().minus(ago)));
  }

  private String launch(int exitCode, String... arguments) throws IOException, InterruptedException {
    Stream<String> command = Stream.concat(Stream.of("bash", launcher()), Stream.of(arguments));
    return ended(exitCode, start(command.toArray(String[]::new)));
  }

  private String launcher() throws IOException {
    Path launcher = folder.resolve("panamoe");
    return Files.copy(Path.of("..", "panamoe"), launcher, StandardCopyOption.REPLACE_EXISTING).toString();
  }

  private static Process start(String... command) throws IOException {
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static String ended(int exitCode, Process process) throws IOException, InterruptedException {
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(exitCode, process.waitFor(), said);
    return said;
  }
}

package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs a copy of the launcher in a folder with files that it may remove or must build. */
@Tag("slow")
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LauncherTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "clean, --help, 0, Removes everything that was built",
    "clean, now, 2, clean takes no arguments",
    "build, -h, 0, Builds the native library",
    "test, quick, 2, test takes no arguments",
    "help, test, 0, Runs every test",
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
  @ValueSource(
      strings = {
        "runtime/src/main/Some.java",
        "native/include/moe/gate.h",
        "native/cuda/runtime_kernel/gate.cu",
        "native/cuda/kernel/reduce.h",
        "bindings/foreign/mpi.symbols",
        "bindings/headers.sha256",
      })
  void buildsTheJavaPartAnewWhenWhatIsInItHasChanged(String source)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    setTime(folder.resolve(source), Duration.ofMinutes(30));
    setTime(folder.resolve("build/native.stamp"), Duration.ZERO);
    String said = launch(0, "doctor");
    assertTrue(said.contains("building the Java part") && said.endsWith("started\n"), said);
  }

  @Test
  void whatWasBuiltInAnotherPlaceIsBuiltAnew() throws IOException, InterruptedException {
    buildAnHourAgo();
    write(
        "native/build/release/CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere/native\n");
    write(
        "ci/maven",
        "#!/bin/sh\nmkdir -p %1$s && >%1$s/classpath\n"
            .formatted(folder.resolve("harness/target")));
    String said = ended(0, startWithCmake("exit 0", "doctor"));
    assertTrue(
        said.startsWith("panamoe: this checkout was built in another place, and is built anew\n"),
        said);
    assertTrue(said.contains("building the native library") && said.endsWith("started\n"), said);
    assertTrue(Files.notExists(folder.resolve("native/build")));
  }

  @Test
  void aLibraryThatIsGoneIsBuiltAnew() throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.delete(folder.resolve("native/build/release/libpanamoe.so"));
    String said = ended(0, startWithCmake("exit 0", "doctor"));
    assertTrue(said.contains("building the native library") && said.endsWith("started\n"), said);
  }

  /** The first build is waited for; one for all processors stays so. */
  @ParameterizedTest
  @CsvSource({
    "false, --preset release -DPANAMOE_THIS_PROCESSOR=ON",
    "true, build/release",
  })
  void theFirstBuildIsForThisProcessor(boolean built, String configuring)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.delete(folder.resolve("native/build/release/libpanamoe.so"));
    if (built) {
      write(
          "native/build/release/CMakeCache.txt",
          "CMAKE_HOME_DIRECTORY:INTERNAL=" + folder.resolve("native") + "\n");
    }
    ended(0, startWithCmake("echo \"$@\" >>" + folder.resolve("calls"), "doctor"));
    assertEquals(
        configuring + "\n--build --preset release --target panamoe ceilings_bench\n",
        Files.readString(folder.resolve("calls")));
  }

  @Test
  void bothPartsAreBuiltAtTheSameTime() throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.delete(folder.resolve("native/build/release/libpanamoe.so"));
    changeSource();
    String mine = folder.resolve("native-begun").toString();
    String other = folder.resolve("java-begun").toString();
    String meet = ">%s; until [ -e %s ]; do sleep 0.01; done\n";
    write("ci/maven", "#!/bin/sh\n" + meet.formatted(other, mine));
    String said = ended(0, startWithCmake(meet.formatted(mine, other), "doctor"));
    assertTrue(said.contains("building the native library and the Java part"), said);
    assertTrue(said.endsWith("started\n"), said);
    write("ci/maven", "#!/bin/sh\necho no such symbol\nexit 1\n");
    Files.delete(folder.resolve("build/java.stamp"));
    said = ended(1, startWithCmake("exit 0", "doctor"));
    assertTrue(said.contains("no such symbol"), said);
  }

  @Test
  void aBuildThatCannotBeConfiguredHasFailed() throws IOException, InterruptedException {
    buildAnHourAgo();
    setTime(folder.resolve("native/abi/gate.cc"), Duration.ofMinutes(30));
    String said = ended(1, startWithCmake("[ \"$1\" != --preset ]", "doctor"));
    assertTrue(said.contains("building the native library failed"), said);
  }

  private Process startWithCmake(String script, String command) throws IOException {
    write("bin/cmake", "#!/bin/sh\n" + script + "\n");
    return start(
        "env",
        "PATH=" + folder.resolve("bin") + ":" + System.getenv("PATH"),
        "bash",
        launcher(),
        command);
  }

  /**
   * After another command it has hardly anything to do: the native tests take minutes to compile.
   */
  @Test
  void buildLeavesNativeTestsToThoseWhoRunThem() throws IOException, InterruptedException {
    buildAnHourAgo();
    ended(0, startWithCmake("echo \"$@\" >>" + folder.resolve("calls"), "build"));
    assertEquals(
        "--preset release\n--build --preset release --target panamoe ceilings_bench\n",
        Files.readString(folder.resolve("calls")));
  }

  @Test
  void aBuildThatCtrlCEndsHasNotFailed() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    // Not a shell script, because dash loses a signal that arrives while it starts a program.
    write(
        "ci/maven",
        "#!/usr/bin/perl\nopen(my $file, '>', '%s'); sleep 60; exit 1;\n"
            .formatted(folder.resolve("building")));
    // A terminal sends the signal to the whole process group; a shell's background job would ignore
    // it.
    Process build = start("env", "--default-signal=INT", "setsid", "bash", launcher(), "doctor");
    await("building");
    new ProcessBuilder("kill", "-INT", "--", "-" + build.pid()).start().waitFor();
    String said = ended(130, build);
    assertTrue(said.endsWith(" ... interrupted\n") && said.lines().count() == 1, said);
  }

  @Test
  void ctrlCEndsBothPartsOfABuild() throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.delete(folder.resolve("native/build/release/libpanamoe.so"));
    changeSource();
    for (String part : List.of("ci/maven", "bin/cmake")) {
      write(
          part,
          "#!/usr/bin/perl\nopen(my $file, '>', '%s'); print $file $$; close $file; sleep 60; exit 1;\n"
              .formatted(folder.resolve(Path.of(part).getFileName() + ".pid")));
    }
    Process build =
        start(
            "env",
            "--default-signal=INT",
            "PATH=" + folder.resolve("bin") + ":" + System.getenv("PATH"),
            "setsid",
            "bash",
            launcher(),
            "doctor");
    await("maven.pid");
    await("cmake.pid");
    new ProcessBuilder("kill", "-INT", "--", "-" + build.pid()).start().waitFor();
    String said = ended(130, build);
    assertTrue(said.endsWith(" ... interrupted\n") && said.lines().count() == 1, said);
    while (ProcessHandle.of(Long.parseLong(Files.readString(folder.resolve("maven.pid"))))
        .filter(ProcessHandle::isAlive)
        .isPresent()) {
      Thread.sleep(1);
    }
  }

  @Test
  void whoWaitsForAnothersBuildSaysSo() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write(
        "ci/maven",
        "#!/bin/sh\n>%1$s/building\nwhile [ ! -e %1$s/go ]; do sleep 0.01; done\n"
            .formatted(folder));
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
    Files.createDirectory(folder.resolve("build/lock")); // which even root cannot write to
    String said = launch(1, "doctor");
    assertTrue(
        said.contains("cannot build: " + folder.resolve("build") + " is not writable")
            && said.lines().count() == 1,
        said);
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

  /** Drops root's right to write anywhere. */
  private static String[] withoutRootsRights(String... command) {
    boolean root = "root".equals(System.getProperty("user.name"));
    Stream<String> before =
        root ? Stream.of("setpriv", "--bounding-set=-dac_override") : Stream.of();
    return Stream.concat(before, Stream.of(command)).toArray(String[]::new);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "                | 0 | Usage: panamoe [OPTIONS] COMMAND",
        "--help          | 0 | Usage: panamoe [OPTIONS] COMMAND",
        "help            | 0 | Usage: panamoe [OPTIONS] COMMAND",
        "help build      | 0 | Usage: panamoe build",
        "test --help     | 0 | Usage: panamoe test",
        "train --help    | 0 | Trains a language model on text",
        "help doctor     | 0 | Shows what this machine has",
        "bench gate -h   | 0 | Measures one part of the work",
        "--version       | 0 | Panamoe 0.1.0",
        "train --help-all | 0 | Trains a language model on text",
        "trian --steps 5 | 2 | panamoe: 'trian' is no command; did you mean train? (panamoe --help shows what there is)",
        "help trian      | 2 | panamoe: 'trian' is no command; did you mean train? (panamoe --help shows what there is)",
        "biuld           | 2 | panamoe: 'biuld' is no command; did you mean build? (panamoe --help shows what there is)",
        "--hlep          | 2 | panamoe: '--hlep' is no command; did you mean --help? (panamoe --help shows what there is)",
        "t.a.n           | 2 | panamoe: 't.a.n' is no command (panamoe --help shows what there is)",
        "Usage:          | 2 | panamoe: 'Usage:' is no command (panamoe --help shows what there is)",
      })
  void wordsWantNothingInstalledAndNothingBuilt(String commandLine, int exitCode, String words)
      throws IOException, InterruptedException {
    String[] arguments = commandLine == null ? new String[0] : commandLine.split(" ");
    String said = ended(exitCode, onABareMachine(arguments));
    assertTrue(said.startsWith(words), said);
    assertEquals("", installed());
    assertTrue(Files.notExists(folder.resolve("build")));
  }

  @Test
  void aCommandInstallsWhatIsMissingAfterSayingSo() throws IOException, InterruptedException {
    String said = ended(1, onABareMachine("doctor", "--yes"));
    assertTrue(said.startsWith("panamoe: missing on this machine: JDK 25, g++"), said);
    assertTrue(said.contains("apt-get: openjdk-25-jdk-headless g++"), said);
    assertTrue(
        installed().contains("install -y --no-install-recommends openjdk-25-jdk-headless g++"),
        installed());
  }

  /**
   * Starts the launcher on a simulated machine without JDK 25 and C++ compiler, whose apt-get
   * installs nothing.
   */
  private Process onABareMachine(String... arguments) throws IOException {
    copy("ci/setup");
    copy("pom.xml");
    write("ci/machine/jdk", "#!/bin/sh\nexit 1\n");
    write("bin/apt-get", "#!/bin/sh\necho \"$@\" >>" + folder.resolve("installed") + "\n");
    write("bin/apt-cache", "#!/bin/sh\necho there is one\n");
    write("bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    String path = "PATH=" + folder.resolve("bin") + ":" + System.getenv("PATH");
    Stream<String> command = Stream.of("env", path, "CXX=false", "bash", launcher());
    return start(Stream.concat(command, Stream.of(arguments)).toArray(String[]::new));
  }

  /** What apt-get was called with. */
  private String installed() throws IOException {
    Path calls = folder.resolve("installed");
    return Files.exists(calls) ? Files.readString(calls) : "";
  }

  @Test
  void wordsOfWhatIsBuiltAreItsOwnAsItIs() throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write(
        "jdk/bin/java",
        "#!/bin/sh\nwhile [ \"$1\" != panamoe.harness.Main ]; do shift; done\necho \"$@\"\n");
    String help = Files.readString(Path.of("../lab/help.txt")); // printed at once, without Java
    assertEquals(help, launch(0));
    for (String words : List.of("-h", "--help", "help")) {
      assertEquals(help, launch(0, words), words);
    }
    assertEquals("panamoe.harness.Main train --help\n", launch(0, "train", "--help"));
    String unknown =
        "panamoe: 'tset' is no command; did you mean test? (panamoe --help shows what there is)\n";
    assertEquals(unknown, launch(2, "tset"));
    assertEquals("panamoe.harness.Main help train\n", launch(0, "help", "train"));
    assertEquals(
        "Usage: panamoe build", launch(0, "help", "build").lines().findFirst().orElseThrow());
    assertEquals("panamoe: build has no command 'extra'\n", launch(2, "help", "build", "extra"));
  }

  @Test
  void commandsThatAnswerStartWithoutJavasBestCode() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("jdk/bin/java", "#!/bin/sh\necho \"$@\"\n");
    String quick = " -XX:TieredStopAtLevel=1 -Xmn16m ";
    for (String command : List.of("generate", "chat", "serve")) {
      assertTrue(launch(0, command, "model").contains(quick), command);
    }
    for (String prompt : List.of("say --quantize int8", "--quantize", "a --quantize=int8")) {
      assertTrue(launch(0, "generate", "model", "--prompt", prompt).contains(quick), prompt);
    }
    assertTrue(launch(0, "generate", "model", "--quantize", "none").contains(quick), "as stored");
    assertFalse(launch(0, "generate", "model", "--quantize=int8").contains("Tiered"), "rounds");
    assertFalse(launch(0, "chat", "--quantize", "int4", "model").contains("Tiered"), "rounds");
    assertFalse(launch(0, "train", "--out", "run").contains("Tiered"), "trains");
  }

  @Test
  void anArchivePrintsItsHelpWithoutJava() throws IOException, InterruptedException {
    String launcher = archive();
    Files.writeString(folder.resolve("archive/lib/help.txt"), "Usage: panamoe\n");
    for (String words : List.of("-h", "--help", "help")) {
      String said = ended(0, start("env", "JAVA25_HOME=/nowhere", "bash", launcher, words));
      assertEquals("Usage: panamoe\n", said, words);
    }
  }

  private String archive() throws IOException {
    Path archive = Files.createDirectories(folder.resolve("archive/bin")).getParent();
    Files.createDirectory(archive.resolve("lib"));
    Files.copy(Path.of("../ci/machine/launcher"), archive.resolve("lib/launcher"));
    return Files.copy(Path.of("../ci/package.d/panamoe"), archive.resolve("bin/panamoe"))
        .toString();
  }

  @ParameterizedTest
  @ValueSource(strings = {"bench", "conformance", "study", "build"})
  void anArchiveSaysWhatComesWithACheckout(String command)
      throws IOException, InterruptedException {
    String said = ended(2, start("bash", archive(), command));
    assertEquals(
        "panamoe: "
            + command
            + " needs a checkout of the sources, but this is a distribution archive\n",
        said);
  }

  @Test
  void theCommandLineKnowsHowItWasStarted() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("jdk/bin/java", "#!/bin/sh\necho \"$@\"\n");
    launcher();
    Process launched = start("sh", "-c", "cd " + folder + " && ./panamoe doctor");
    assertTrue(ended(0, launched).contains(" -Dpanamoe.launcher=./panamoe "));
  }

  @Test
  void streamsThatAreClosedDoNotBecomeFiles() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("jdk/bin/java", "#!/bin/sh\nls -l /proc/self/fd >" + folder.resolve("open") + "\n");
    assertEquals("", ended(0, start("sh", "-c", "bash " + launcher() + " doctor >&- 2>&-")));
    String open = Files.readString(folder.resolve("open"));
    assertTrue(open.contains(" 2 -> /dev/null"), open);
  }

  @Test
  void noHomeIsNeeded() throws IOException, InterruptedException {
    buildAnHourAgo();
    Files.copy(
        Path.of("../ci/machine/jdk"),
        folder.resolve("ci/machine/jdk"),
        StandardCopyOption.REPLACE_EXISTING);
    write("jdk/bin/javac", "");
    write("jdk/release", "JAVA_VERSION=\"25.0.1\"\n");
    Process launched =
        start(
            "env",
            "-u",
            "HOME",
            "JAVA25_HOME=" + folder.resolve("jdk"),
            "bash",
            launcher(),
            "doctor");
    assertEquals("started\n", ended(0, launched));
  }

  @ParameterizedTest
  @ValueSource(strings = {"C", "not_INSTALLED.UTF-8"})
  void javaIsStartedInALocaleOfAllCharacters(String locale)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    write("jdk/bin/java", "#!/bin/sh\nlocale charmap\n");
    // The shell itself warns of a locale that is not installed.
    Process launched =
        start("sh", "-c", "LC_ALL=" + locale + " bash " + launcher() + " doctor 2>/dev/null");
    assertEquals("UTF-8\n", ended(0, launched));
  }

  @Test
  void whatHasNoHomeGetsOneInTheBuild() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("bin/getent", "#!/bin/sh\nexit 2\n");
    write("jdk/bin/java", "#!/bin/sh\necho \"$HOME\"\n");
    String path = "PATH=" + folder.resolve("bin") + ":" + System.getenv("PATH");
    Process launched = start("env", "-u", "HOME", path, "bash", launcher(), "doctor");
    assertEquals(folder.resolve("build/home") + "\n", ended(0, launched));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--yes generate --prompt --yes --steps 3 | 1 generate --prompt --yes --steps 3",
        "generate --yes --prompt --yes           | 1 generate --prompt --yes",
        "generate --prompt --yes                 | 0 generate --prompt --yes",
        "generate --model m -- --yes             | 0 generate --model m -- --yes",
      })
  void yesIsTheLaunchersBesideTheCommandAlone(String commandLine, String passedOn)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    write(
        "jdk/bin/java",
        "#!/bin/sh\nwhile [ \"$1\" != panamoe.harness.Main ]; do shift; done\nshift; echo \"${PANAMOE_YES:-0} $*\"\n");
    Stream<String> command = Stream.of("env", "-u", "PANAMOE_YES", "bash", launcher());
    Process launched =
        start(Stream.concat(command, Stream.of(commandLine.split(" "))).toArray(String[]::new));
    assertEquals(passedOn + "\n", ended(0, launched));
  }

  @Test
  void withoutAJdkNoOtherJavaIsStarted() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("ci/machine/jdk", "#!/bin/sh\nexit 1\n");
    assertEquals("panamoe: no JDK 25 found: name one in JAVA25_HOME\n", launch(1, "doctor"));
    write("ci/setup", "#!/bin/sh\necho cannot install >&2\nexit 1\n");
    assertEquals("cannot install\n", launch(1, "doctor"));
    write("ci/machine/jdk", "#!/bin/sh\necho a wrong variable >&2\nexit 2\n");
    assertEquals("a wrong variable\n", launch(1, "doctor"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "curl: Failed to fetch https://example.org/maven.zip",
        "Exception in thread \"main\" java.net.UnknownHostException: example.org",
        "[ERROR] Could not transfer artifact org.example:some:pom:1 from central",
      })
  void aFirstBuildWithoutANetworkIsOneSentence(String words)
      throws IOException, InterruptedException {
    buildAnHourAgo();
    changeSource();
    write("ci/maven", "#!/bin/sh\necho '" + words + "' >&2\nexit 1\n");
    String said = launch(1, "doctor");
    assertTrue(said.contains("the first build needs the network") && !said.contains(words), said);
  }

  @Test
  void aCardThatIsMissingIsOneSentence() throws IOException, InterruptedException {
    buildAnHourAgo();
    write("ci/cuda.d/compile", "#!/bin/sh\necho \"$1: no card\" >&2\nexit 1\n");
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

  /** A project whose sources are two hours old, with a fake JDK and Maven. */
  private void buildAnHourAgo() throws IOException {
    for (String source :
        List.of(
            "pom.xml",
            "bindings/pom.xml",
            "bindings/src/main/Some.java",
            "bindings/check-headers.sh",
            "bindings/headers.sha256",
            "bindings/foreign/mpi.symbols",
            "runtime/pom.xml",
            "runtime/src/main/Some.java",
            "java-api/pom.xml",
            "java-api/src/main/Some.java",
            "text/pom.xml",
            "text/src/main/Some.java",
            "harness/pom.xml",
            "harness/src/main/Some.java",
            "lab/pom.xml",
            "lab/src/main/Some.java",
            "cmake/Tests.cmake",
            "native/CMakeLists.txt",
            "native/CMakePresets.json",
            "native/include/moe/gate.h",
            "native/core/kernels.h",
            "native/abi/gate.cc",
            "native/cpu/gate/gate.cc",
            "native/bench/gate.cc",
            "native/cuda/kernel/reduce.h",
            "native/cuda/runtime_kernel/gate.cu",
            "native/build/release/libpanamoe.so",
            "build/native.stamp",
            "build/java.stamp",
            "harness/target/classpath")) {
      write(source, "");
    }
    for (String script : List.of("ci/setup", "ci/maven")) {
      write(script, "#!/bin/sh\n");
    }
    write("ci/machine/jdk", "#!/bin/sh\necho " + folder.resolve("jdk") + "\n");
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

  private String launch(int exitCode, String... arguments)
      throws IOException, InterruptedException {
    Stream<String> command = Stream.concat(Stream.of("bash", launcher()), Stream.of(arguments));
    return ended(exitCode, start(command.toArray(String[]::new)));
  }

  private String launcher() throws IOException {
    copy("lab/help.txt");
    copy("ci/machine/home");
    copy("ci/machine/launcher");
    return copy("panamoe").toString();
  }

  private Path copy(String name) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.copy(Path.of("..").resolve(name), file, StandardCopyOption.REPLACE_EXISTING);
  }

  private static Process start(String... command) throws IOException {
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static String ended(int exitCode, Process process)
      throws IOException, InterruptedException {
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(exitCode, process.waitFor(), said);
    return said;
  }
}

package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes of a program that has the jars alone, without a checkout. */
class PackagedProcessTest {
  @TempDir Path folder;
  private String classPath;

  @BeforeEach
  void jarsAlone() throws IOException {
    Path classes = copy(NativeLibrary.class, "bindings");
    Path probe = copy(Probe.class, "probe");
    Path library = NativeLibrary.file().orElseThrow();
    Path packaged =
        Files.createDirectories(folder.resolve("native/META-INF/panamoe/linux-x86_64"))
            .resolve(SearchPath.FILE_NAME);
    Files.copy(library, packaged);
    Files.writeString(
        packaged.resolveSibling(SearchPath.FILE_NAME + ".sha256"),
        UnpackFolder.sha256(Files.readAllBytes(library)));
    classPath =
        String.join(
            File.pathSeparator,
            List.of(classes.toString(), probe.toString(), folder.resolve("native").toString()));
  }

  /** Copies the classes of a package out of the checkout. */
  private Path copy(Class<?> one, String name) throws IOException {
    Path target = folder.resolve(name);
    Path source = Path.of(one.getProtectionDomain().getCodeSource().getLocation().getPath());
    String inside = one.getPackageName().replace('.', '/');
    Files.createDirectories(target.resolve(inside));
    try (Stream<Path> files = Files.list(source.resolve(inside))) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, target.resolve(source.relativize(file)));
      }
    }
    return target;
  }

  private Process start(String limit) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(
            "sh",
            "-c",
            limit + "exec \"$@\"",
            "sh",
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-Djava.io.tmpdir=" + folder,
            "-cp",
            classPath,
            Probe.class.getName());
    builder.environment().put("XDG_CACHE_HOME", folder.resolve("cache").toString());
    builder.environment().remove(SearchPath.VARIABLE);
    return builder.redirectErrorStream(true).start();
  }

  private static String output(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output.strip();
  }

  @Test
  void processesThatUnpackAtOnceAllHaveTheLibrary() throws Exception {
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      processes.add(start(""));
    }
    for (Process process : processes) {
      String output = output(process);
      assertTrue(output.matches(folder + "/cache/panamoe/native/\\w{64}/libpanamoe.so"), output);
    }
    try (Stream<Path> kept = Files.walk(folder.resolve("cache"))) {
      assertEquals(1, kept.filter(Files::isRegularFile).count());
    }
  }

  /** A limit of a file's size cuts the write as a full disk does. */
  @Test
  void whereTheDiskIsFullASentenceSaysSoAndNothingStays() throws Exception {
    String output = output(start("ulimit -f 64; "));
    assertTrue(
        output.matches(
            "the native library of \\S+ can be used from no folder \\(\\S+: File too large; \\S+:"
                + " File too large\\): name one .*"),
        output);
    try (Stream<Path> kept = Files.walk(folder.resolve("cache"))) {
      assertEquals(0, kept.filter(Files::isRegularFile).count());
    }
  }

  /** Prints the library's file, or why there is none. */
  static final class Probe {
    public static void main(String[] arguments) {
      System.out.println(
          NativeLibrary.unavailabilityCause()
              .map(Throwable::getMessage)
              .orElseGet(() -> NativeLibrary.file().orElseThrow().toString()));
    }
  }
}

package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.InvokeInstruction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** On older Java versions the first classes of a program load, and name the needed version. */
class OlderJavaTest {
  private static final String CLASS_PATH =
      System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
  private static final int JAVA_17 = 61; // the version in its class files

  @TempDir private Path folder;

  @Test
  void anOlderOneIsRefusedByName() {
    assertEquals(
        "Panamoe needs Java 25 or newer, and this is Java 24",
        assertThrows(UnsupportedClassVersionError.class, () -> RequiredJava.check(24))
            .getMessage());
    assertDoesNotThrow(() -> RequiredJava.check(25));
  }

  @ParameterizedTest
  @ValueSource(
      classes = {RequiredJava.class, Device.class, LayerSettings.class, ModelSettings.class})
  void isCompiledForJava17(Class<?> type) throws IOException {
    try (InputStream file = type.getResourceAsStream(type.getSimpleName() + ".class");
        DataInputStream data = new DataInputStream(file)) {
      data.skipNBytes(6); // the magic number and the minor version
      assertEquals(JAVA_17, data.readUnsignedShort());
    }
  }

  /** The first instruction of a class is the check: no older Java is needed to see that. */
  @ParameterizedTest
  @ValueSource(
      classes = {
        Device.class,
        LayerSettings.class,
        ModelSettings.class,
        AdamWSettings.class,
        Degrees.class,
        Execution.class,
        TcpRank.class,
        Teacher.class
      })
  void asksForItFirst(Class<?> type) throws IOException {
    try (InputStream file = type.getResourceAsStream(type.getSimpleName() + ".class")) {
      MethodModel initializer =
          ClassFile.of().parse(file.readAllBytes()).methods().stream()
              .filter(method -> method.methodName().equalsString("<clinit>"))
              .findFirst()
              .orElseThrow();
      Instruction first =
          initializer
              .code()
              .orElseThrow()
              .elementStream()
              .filter(Instruction.class::isInstance)
              .map(Instruction.class::cast)
              .findFirst()
              .orElseThrow();
      InvokeInstruction call = assertInstanceOf(InvokeInstruction.class, first);
      assertEquals(
          "panamoe/api/RequiredJava.check",
          call.owner().asInternalName() + "." + call.name().stringValue());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Device.open(\"auto\", 0)",
        "LayerSettings.of(8, 16, 4, 2)",
        "ModelSettings.of(256, 16, 8, 2, java.util.List.of(0))",
        "Degrees.of(2)",
      })
  void aProgramIsToldSo(String call) throws Exception {
    Path source =
        Files.writeString(
            folder.resolve("Program.java"),
            "class Program {\n  public static void main(String[] a) {\n    panamoe.api.%s;\n  }\n}\n"
                .formatted(call));
    assertEquals(
        0,
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                null,
                null,
                "--release",
                "17",
                "-cp",
                CLASS_PATH,
                "-d",
                folder.toString(),
                source.toString()));
    Optional<Path> java = olderJava();
    assumeTrue(java.isPresent(), "no Java from 17 to 24 in /usr/lib/jvm");
    String classPath = folder + ":" + CLASS_PATH;
    Process process =
        new ProcessBuilder(java.get().toString(), "-cp", classPath, "Program")
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor(), said);
    String first = said.lines().findFirst().orElse("");
    assertTrue(
        first.matches(
            ".*UnsupportedClassVersionError: Panamoe needs Java 25 or newer, and this is Java \\d+"),
        said);
  }

  private static Optional<Path> olderJava() throws IOException {
    Path all = Path.of("/usr/lib/jvm");
    if (!Files.isDirectory(all)) {
      return Optional.empty();
    }
    try (Stream<Path> homes = Files.list(all)) {
      List<Path> found =
          homes.filter(OlderJavaTest::isOlder).map(home -> home.resolve("bin/java")).toList();
      return found.stream().filter(Files::isExecutable).findFirst();
    }
  }

  private static boolean isOlder(Path home) {
    try {
      return Files.readString(home.resolve("release"))
          .matches("(?s).*JAVA_VERSION=\"(1[789]|2[0-4])[.\"].*");
    } catch (IOException _) {
      return false;
    }
  }
}

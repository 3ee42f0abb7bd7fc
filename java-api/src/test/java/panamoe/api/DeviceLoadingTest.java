package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a program sees that was started in another way than these tests, in a JVM of its own. */
class DeviceLoadingTest {
  private static final String CLASS_PATH =
      System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));

  @Test
  void withoutNativeAccessPlainJavaComputes() throws Exception {
    List<String> said = devicesOpenedBy("--illegal-native-access=deny");
    String why = "native access is not enabled: start java with --enable-native-access=ALL-UNNAMED";
    assertEquals("reference: reference computed", said.get(0));
    assertTrue(
        said.contains("WARNING: computing in plain Java, which is slow: " + why), said.toString());
    assertTrue(said.contains("auto: reference computed"), said.toString());
    assertEquals("cpu: DeviceFailed: " + why, said.getLast());
  }

  @Test
  void whereNoNativeLibraryCanRunPlainJavaComputes() throws Exception {
    List<String> said = devicesOpenedBy("--enable-native-access=ALL-UNNAMED", "-Dos.arch=riscv64");
    String why =
        "the native library runs on Linux on x86-64 or aarch64 with glibc, and this is Linux on"
            + " riscv64; the device \"reference\" (plain Java, slow) works here";
    assertEquals("reference: reference computed", said.get(0));
    assertTrue(
        said.contains("WARNING: computing in plain Java, which is slow: " + why), said.toString());
    assertTrue(said.contains("auto: reference computed"), said.toString());
    assertEquals("cpu: DeviceFailed: " + why, said.getLast());
  }

  @Test
  void aWrongPathIsNotPassedOver() throws Exception {
    String why =
        "DeviceFailed: there is no library /no/such/place (system property panamoe.native.path):"
            + " name the file libpanamoe.so or the folder that it is in";
    assertEquals(
        List.of("reference: reference computed", "auto: " + why, "cpu: " + why),
        devicesOpenedBy(
            "--enable-native-access=ALL-UNNAMED", "-Dpanamoe.native.path=/no/such/place"));
  }

  /** Nothing may serve in the stead of what is named, whatever the reason that it cannot be had. */
  @Test
  void aNamedLibraryIsNotPassedOverWhereNoneCanBeLoaded() throws Exception {
    String named = "-Dpanamoe.native.path=/no/such";
    String access =
        "DeviceFailed: native access is not enabled: start java with --enable-native-access=ALL-UNNAMED";
    assertEquals(
        List.of("reference: reference computed", "auto: " + access, "cpu: " + access),
        devicesOpenedBy("--illegal-native-access=deny", named));
    String platform =
        "DeviceFailed: the native library runs on Linux on x86-64 or aarch64 with glibc, and this is"
            + " Linux on riscv64; the device \"reference\" (plain Java, slow) works here";
    assertEquals(
        List.of("reference: reference computed", "auto: " + platform, "cpu: " + platform),
        devicesOpenedBy("--enable-native-access=ALL-UNNAMED", "-Dos.arch=riscv64", named));
  }

  @Test
  void aSecondClassLoaderHasItsOwnDevice() throws Exception {
    try (URLClassLoader other = classLoaderWithout("no jar");
        Device _ = Device.open("cpu", 1)) {
      Class<?> probe = other.loadClass(Probe.class.getName());
      assertNotSame(Probe.class, probe);
      assertEquals("cpu computed", probe.getMethod("compute", String.class).invoke(null, "cpu"));
    }
  }

  @Test
  void aJarThatIsMissingIsNamed() throws Exception {
    try (URLClassLoader bare = classLoaderWithout("jackson-")) {
      Method json = bare.loadClass(Probe.class.getName()).getMethod("failure", boolean.class);
      for (boolean reads : new boolean[] {true, true, false, false}) {
        Object said = json.invoke(null, reads);
        String sentence =
            "the class path has no (tools|com.fasterxml).jackson\\S+: add (tools|com.fasterxml).jackson\\S+ to it";
        assertTrue(said.toString().matches(sentence), said.toString());
      }
    }
  }

  /** What needs no file and no JSON computes with Panamoe's own three jars. */
  @Test
  void aLayerAndAModelOfSettingsNeedNoOtherJar() throws Exception {
    try (URLClassLoader bare = classLoaderWithout("jackson-")) {
      Class<?> probe = bare.loadClass(Probe.class.getName());
      assertEquals("cpu computed", probe.getMethod("compute", String.class).invoke(null, "cpu"));
      assertEquals(1L, probe.getMethod("train").invoke(null));
    }
  }

  /** These tests' class path once more, less the jars of that name. */
  private static URLClassLoader classLoaderWithout(String jar) throws IOException {
    List<URL> places = new ArrayList<>();
    for (String place : CLASS_PATH.split(File.pathSeparator)) {
      if (!Path.of(place).getFileName().toString().startsWith(jar)) {
        places.add(Path.of(place).toUri().toURL());
      }
    }
    return new URLClassLoader(places.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
  }

  private static List<String> devicesOpenedBy(String... options) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    command.addAll(
        List.of(
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            CLASS_PATH,
            Probe.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output.lines().toList();
  }

  /** Computes with a layer on every device, or prints why it cannot. */
  public static final class Probe {
    private Probe() {}

    public static void main(String[] arguments) {
      for (String device : List.of("reference", "auto", "cpu")) {
        try {
          System.out.println(device + ": " + compute(device));
        } catch (PanamoeException e) {
          System.out.println(device + ": " + e.getClass().getSimpleName() + ": " + e.getMessage());
        }
      }
    }

    /** What is said of a configuration that cannot be read, or written. */
    public static String failure(boolean reads) {
      ModelSettings settings = ModelSettings.of(9, 8, 8, 2, List.of(0));
      try (Device device = Device.open("reference", 1);
          TrainableModel model = TrainableModel.create(device, settings, 1)) {
        return assertThrows(
                NoClassDefFoundError.class,
                reads ? () -> TrainableModel.create(device, "{}", 1) : model::config)
            .getMessage();
      }
    }

    /** The steps of an optimizer that trained a model. */
    public static long train() {
      try (Arena arena = Arena.ofConfined();
          Device device = Device.open("cpu", 1);
          TrainableModel model =
              TrainableModel.create(device, ModelSettings.of(9, 8, 8, 2, List.of(0, 2)), 1)) {
        MemorySegment tokens = arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3);
        AdamW optimizer = AdamW.begin(model, AdamWSettings.USUAL);
        CheckpointExample.train(model, optimizer, tokens, tokens, 3);
        return optimizer.steps();
      }
    }

    /** The device's name, and that a layer computed something on it. */
    public static String compute(String name) {
      try (Arena arena = Arena.ofConfined();
          Device device = Device.open(name, 1);
          MoeLayer layer = MoeLayer.create(device, LayerSettings.of(8, 16, 4, 1), 42)) {
        MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, 8);
        MemorySegment y = arena.allocate(ValueLayout.JAVA_FLOAT, 8);
        x.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 1);
        layer.forward(x, y, 1);
        float sum = 0;
        for (int i = 0; i < 8; i++) {
          sum += Math.abs(y.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        }
        return device.name() + (sum > 0 ? " computed" : " computed nothing");
      }
    }
  }
}

package panamoe.runtimekernel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;

/**
 * The disk cache of compiled kernels: entries are found again, replaced if damaged, and complete
 * despite concurrent writers.
 */
@Tag("slow")
class KernelCacheTest {
  private static final byte[] IMAGE = "an image".getBytes(StandardCharsets.US_ASCII);

  @TempDir private Path folder;
  private final AtomicInteger compilations = new AtomicInteger();
  private final Supplier<byte[]> compile =
      () -> {
        compilations.incrementAndGet();
        return IMAGE;
      };

  @Test
  void aKernelIsCompiledOnce() throws IOException {
    Path deep = folder.resolve("a/b");
    assertArrayEquals(IMAGE, new KernelCache(deep).get("key", compile));
    assertArrayEquals(IMAGE, new KernelCache(deep).get("key", compile));
    assertEquals(1, compilations.get());
    new KernelCache(deep).get("another", compile);
    assertEquals(2, compilations.get());
    assertEquals(Set.of("key", "another"), names(deep));
  }

  @Test
  void aDamagedFileIsMadeAnew() throws IOException {
    KernelCache cache = new KernelCache(folder);
    cache.get("key", compile);
    Path file = folder.resolve("key");
    byte[] whole = Files.readAllBytes(file);
    List<byte[]> damages = new ArrayList<>(List.of(new byte[0], new byte[32]));
    for (int length = 1; length < whole.length; length++) {
      damages.add(Arrays.copyOf(whole, length));
    }
    for (int i = 0; i < whole.length; i++) {
      byte[] flipped = whole.clone();
      flipped[i] ^= 1;
      damages.add(flipped);
    }
    for (byte[] damage : damages) {
      Files.write(file, damage);
      int before = compilations.get();
      assertArrayEquals(IMAGE, cache.get("key", compile));
      assertEquals(before + 1, compilations.get());
      assertArrayEquals(whole, Files.readAllBytes(file));
    }
  }

  @Test
  void withoutAFolderToWriteToEverythingIsCompiled() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    for (KernelCache cache :
        List.of(new KernelCache(null), new KernelCache(file.resolve("inside")))) {
      compilations.set(0);
      assertArrayEquals(IMAGE, cache.get("key", compile));
      assertArrayEquals(IMAGE, cache.get("key", compile));
      assertEquals(2, compilations.get());
    }
    // A folder has the file's name: nothing is cached, and no temporary file remains.
    Files.createDirectories(folder.resolve("key/full"));
    assertArrayEquals(IMAGE, new KernelCache(folder).get("key", compile));
    assertEquals(Set.of("file", "key"), names(folder));
  }

  @Test
  void whereItLies() {
    assertEquals(
        Optional.of(Path.of("/c")),
        KernelCache.folder(Map.of("PANAMOE_CACHE", "/c", "HOME", "/h")));
    assertEquals(
        Optional.of(Path.of("/x/panamoe/kernels")),
        KernelCache.folder(Map.of("PANAMOE_CACHE", " ", "XDG_CACHE_HOME", "/x", "HOME", "/h")));
    assertEquals(
        Optional.of(Path.of("/h/.cache/panamoe/kernels")),
        KernelCache.folder(Map.of("HOME", "/h")));
    assertEquals(Optional.empty(), KernelCache.folder(Map.of()));
  }

  @Test
  void everythingThatMattersIsInTheKey() {
    KernelSource source = KernelSource.of("activation", "a", List.of("D=1"));
    Map<String, String> headers = source.headers();
    List<String> keys =
        List.of(
            KernelCache.key(source, "sm_80", "12.4"),
            KernelCache.key(source, "sm_90", "12.4"),
            KernelCache.key(source, "sm_80", "12.6"),
            KernelCache.key(KernelSource.of("activation", "b", List.of("D=1")), "sm_80", "12.4"),
            KernelCache.key(KernelSource.of("activation", "a", List.of("D=2")), "sm_80", "12.4"),
            KernelCache.key(
                KernelSource.of("activation", "a", List.of("D=1", "E")), "sm_80", "12.4"),
            KernelCache.key(
                new KernelSource("activation.cu", "other", headers, List.of("D=1")),
                "sm_80",
                "12.4"));
    assertEquals(keys.size(), new HashSet<>(keys).size());
    assertEquals(
        keys.getFirst(),
        KernelCache.key(KernelSource.of("activation", "a", List.of("D=1")), "sm_80", "12.4"));
  }

  @Test
  void theSecondRunTakesTheImageOfTheFirst() throws IOException {
    RuntimeKernel kernel =
        new RuntimeKernel.Gate(8, 2, Score.SOFTMAX, QueueOrder.TOKEN_MAJOR, true);
    byte[] first = new RuntimeKernels(Nvrtc.open(), new KernelCache(folder)).image(kernel, "sm_90");
    String name = names(folder).iterator().next();
    assertTrue(name.matches("[0-9a-f]{64}"), name);
    long written = Files.getLastModifiedTime(folder.resolve(name)).toMillis();
    byte[] second =
        new RuntimeKernels(Nvrtc.open(), new KernelCache(folder)).image(kernel, "sm_90");
    assertArrayEquals(first, second);
    assertEquals(written, Files.getLastModifiedTime(folder.resolve(name)).toMillis());
    assertNotEquals(0, first.length);
  }

  /** Two processes with an empty cache, each with its own NVRTC and JCuda, get the same images. */
  @Test
  void processesMayRace() throws IOException, InterruptedException {
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      processes.add(
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin/java").toString(),
                  "--enable-native-access=ALL-UNNAMED",
                  "-XX:TieredStopAtLevel=1",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Racer.class.getName(),
                  folder.toString())
              .redirectErrorStream(true)
              .redirectOutput(folder.resolveSibling(folder.getFileName() + "-" + i).toFile())
              .start());
    }
    List<String> outputs = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      assertTrue(processes.get(i).waitFor(300, TimeUnit.SECONDS), "a process hangs");
      File output = folder.resolveSibling(folder.getFileName() + "-" + i).toFile();
      outputs.add(Files.readString(output.toPath()));
      assertEquals(0, processes.get(i).exitValue(), outputs.get(i));
      Files.delete(output.toPath());
    }
    assertTrue(outputs.getFirst().matches("(?s)(-?\\d+\\s){4}"), outputs.getFirst());
    assertEquals(outputs.get(0), outputs.get(1));
    assertEquals(4, names(folder).size());
  }

  /** Prints the hashes of four kernels. */
  static final class Racer {
    private Racer() {}

    public static void main(String[] arguments) {
      RuntimeKernels kernels =
          new RuntimeKernels(Nvrtc.open(), new KernelCache(Path.of(arguments[0])));
      for (int experts : new int[] {4, 8, 16, 32}) {
        RuntimeKernel gate =
            new RuntimeKernel.Gate(experts, 1, Score.SOFTMAX, QueueOrder.TOKEN_MAJOR, false);
        System.out.println(Arrays.hashCode(kernels.image(gate, "sm_80")));
      }
    }
  }

  private static Set<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return new HashSet<>(files.map(file -> file.getFileName().toString()).toList());
    }
  }
}

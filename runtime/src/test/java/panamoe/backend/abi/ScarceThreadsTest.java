package panamoe.backend.abi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.backend.Activation;
import panamoe.backend.GemmKernels;
import panamoe.bindings.NativeLibrary;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * {@link NativeBackend}: without further threads of the system, kernels use those that exist, with
 * equal results.
 */
class ScarceThreadsTest {
  private static final int THREADS = 4;
  private static final int SIZE = 300;
  private static final Path LIBRARY =
      Path.of(
          System.getProperty(
              "panamoe.scarce.threads",
              Path.of("..", "native", "build", "release", "libscarce_threads.so")
                  .toAbsolutePath()
                  .toString()));

  @Test
  void aProductHasTheSameBitsWithFewerThreads() throws Exception {
    int expected;
    try (NativeBackend backend = NativeBackend.open("cpu", 1)) {
      expected = product(backend);
    }
    for (int granted = 0; granted < THREADS; granted++) {
      assertEquals(
          "product %d, %d helpers".formatted(expected, granted), inAnotherProcess(granted));
    }
  }

  /** The bits of a product as one number. */
  private static int product(NativeBackend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor c = scope.zeros(DType.FLOAT32, SIZE, SIZE);
      backend.gemm(
          false,
          true,
          false,
          random(scope, 1),
          random(scope, 2),
          c,
          GemmKernels.Epilogue.of(Activation.GELU));
      return Arrays.hashCode(c.toFloats());
    }
  }

  private static Tensor random(TensorScope scope, long seed) {
    Random random = new Random(seed);
    Tensor tensor = scope.zeros(DType.FLOAT32, SIZE, SIZE);
    for (int i = 0; i < SIZE * SIZE; i++) {
      tensor.setFloat(i, random.nextFloat() - 0.5f);
    }
    return tensor;
  }

  private static String inAnotherProcess(int granted) throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    ProcessBuilder builder =
        new ProcessBuilder(
            java,
            "--enable-native-access=ALL-UNNAMED",
            "-Dpanamoe.native.path=" + NativeLibrary.file().orElseThrow(),
            "-cp",
            System.getProperty("java.class.path"),
            Probe.class.getName());
    builder.environment().put("LD_PRELOAD", LIBRARY.toString());
    builder.environment().put("PANAMOE_TEST_THREADS", Integer.toString(granted));
    Process process = builder.redirectErrorStream(true).start();
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  /** Prints its product, and how many of the process's threads are the library's. */
  static final class Probe {
    public static void main(String[] args) throws IOException {
      try (NativeBackend backend = NativeBackend.open("cpu", THREADS);
          Stream<Path> threads = Files.list(Path.of("/proc/self/task"))) {
        int product = product(backend);
        long helpers = threads.filter(Probe::isHelper).count();
        System.out.printf("product %d, %d helpers%n", product, helpers);
      }
    }

    private static boolean isHelper(Path thread) {
      try {
        return Files.readString(thread.resolve("comm")).startsWith("panamoe-");
      } catch (IOException e) {
        return false; // it has ended
      }
    }
  }
}

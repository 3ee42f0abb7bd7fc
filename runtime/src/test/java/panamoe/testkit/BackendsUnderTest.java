package panamoe.testkit;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * The backends under test: {@code -Dpanamoe.test.backends}, or the reference, the CPU and the
 * emulation of CUDA. Use {@code reference} on a machine without the native library; tests of native
 * backends then fail. {@code cuda} is for a machine with a GPU.
 */
public final class BackendsUnderTest {
  private static final List<String> NAMES =
      List.of(System.getProperty("panamoe.test.backends", "reference,cpu,simt").split(","));

  private BackendsUnderTest() {}

  /** The reference and the {@link #natives}. */
  public static Stream<Named<Backend>> all() {
    Stream<Named<Backend>> reference =
        Stream.of("reference").filter(NAMES::contains).map(name -> open(name, 1));
    return Stream.concat(reference, natives());
  }

  /** The CPU backend with 1, 2 and 3 threads, and the backend that runs CUDA's kernels. */
  public static Stream<Named<Backend>> natives() {
    Stream<Named<Backend>> cpu =
        IntStream.rangeClosed(1, NAMES.contains("cpu") ? 3 : 0)
            .mapToObj(threads -> open("cpu", threads));
    return Stream.concat(
        cpu, Stream.of("simt", "cuda").filter(NAMES::contains).map(name -> open(name, 1)));
  }

  private static Named<Backend> open(String name, int threads) {
    return Named.of(name + " x " + threads, Backends.open(name, threads));
  }
}

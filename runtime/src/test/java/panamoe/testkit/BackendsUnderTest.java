package panamoe.testkit;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import panamoe.backend.Backend;
import panamoe.backend.Backends;

/**
 * The backends under test. {@code -Dpanamoe.test.backends=reference} leaves the native ones out, for work on a machine
 * without their library; a test of native backends alone then fails for want of one.
 */
public final class BackendsUnderTest {
  private static final List<String> NAMES =
      List.of(System.getProperty("panamoe.test.backends", "reference,cpu").split(","));

  private BackendsUnderTest() {}

  /** The reference and the {@link #natives}. */
  public static Stream<Named<Backend>> all() {
    Stream<Named<Backend>> reference = Stream.of("reference").filter(NAMES::contains).map(name -> open(name, 1));
    return Stream.concat(reference, natives());
  }

  /** The CPU with 1, 2 and 3 threads. */
  public static Stream<Named<Backend>> natives() {
    return IntStream.rangeClosed(1, NAMES.contains("cpu") ? 3 : 0).mapToObj(threads -> open("cpu", threads));
  }

  private static Named<Backend> open(String name, int threads) {
    return Named.of(name + " x " + threads, Backends.open(name, threads));
  }
}

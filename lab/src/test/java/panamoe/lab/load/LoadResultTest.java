package panamoe.lab.load;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoadResultTest {
  private static final long MS = 1_000_000;

  private static RequestResult done(long firstMs, long... betweenMs) {
    long whole = firstMs;
    long[] between = betweenMs.clone();
    for (int i = 0; i < between.length; i++) {
      whole += between[i];
      between[i] *= MS;
    }
    int pieces = between.length + 1;
    return new RequestResult(
        RequestResult.Kind.DONE, firstMs * MS, whole * MS, pieces, pieces, between, null);
  }

  @Test
  void goodIsWhatMetBothTargets() {
    List<RequestResult> outcomes =
        List.of(
            done(10, 5, 15), // 10 ms between chunks, on average
            done(11, 5, 15),
            done(10, 5, 16),
            done(10),
            RequestResult.without(RequestResult.Kind.REFUSED, "full"),
            RequestResult.without(RequestResult.Kind.FAILED, "lost"));
    LatencyTargets targets = new LatencyTargets(Duration.ofMillis(10), Duration.ofMillis(10));
    LoadResult result = LoadResult.of("1x", 2, 4, outcomes, targets);
    assertEquals(3, result.requestsPerS());
    assertEquals(1, result.donePerS());
    assertEquals(0.5, result.goodPerS());
    assertEquals(1, result.refused());
    assertEquals(1, result.failed());
    assertEquals(10 / 4.0, result.tokensPerS());
    assertEquals(10, result.firstMsP50());
    assertEquals(11, result.firstMsP99());
    assertEquals(5, result.nextMsP50());
    assertEquals(16, result.nextMsP99());
  }

  @Test
  void nothingDoneHasNoTimes() {
    LatencyTargets targets = new LatencyTargets(Duration.ofMillis(1), Duration.ofMillis(1));
    LoadResult result = LoadResult.of("5", 1, 1, List.of(), targets);
    assertEquals(0, result.firstMsP99() + result.nextMsP99() + result.goodPerS());
  }
}

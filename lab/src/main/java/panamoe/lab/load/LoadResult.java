package panamoe.lab.load;

import java.util.List;
import java.util.stream.LongStream;
import panamoe.io.Words;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A server's results under one load; {@code --json} prints it as one flat object per line.
 *
 * @param load {@code closed}, or the requested rate
 * @param seconds of sending requests
 * @param requests number sent
 * @param requestsPerS sent per second
 * @param donePerS completed per second
 * @param goodPerS completed within the latency targets, per second (goodput)
 * @param refused with status 429 or 503
 * @param failed with any other error
 * @param tokensPerS generated tokens per second
 * @param firstMsP50 median time from a request's due time to its first chunk (TTFT)
 * @param nextMsP50 median time between chunks
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record LoadResult(
    String load,
    double seconds,
    int requests,
    double requestsPerS,
    double donePerS,
    double goodPerS,
    int refused,
    int failed,
    double tokensPerS,
    double firstMsP50,
    double firstMsP99,
    double nextMsP50,
    double nextMsP99) {

  static final String HEADER =
      "load       sent/s   done/s   good/s  refused   failed  token"
          + "s/s  first p50  first p99  next p50  next p99";

  /**
   * @param seconds during which requests were sent
   * @param took seconds until the last response, the denominator of rates
   */
  static LoadResult of(
      String load,
      double seconds,
      double took,
      List<RequestResult> outcomes,
      LatencyTargets targets) {
    List<RequestResult> done =
        outcomes.stream().filter(outcome -> outcome.kind() == RequestResult.Kind.DONE).toList();
    long[] first = done.stream().mapToLong(RequestResult::firstNanos).sorted().toArray();
    long[] next =
        done.stream()
            .flatMapToLong(outcome -> LongStream.of(outcome.betweenNanos()))
            .sorted()
            .toArray();
    return new LoadResult(
        load,
        seconds,
        outcomes.size(),
        outcomes.size() / seconds,
        done.size() / took,
        outcomes.stream().filter(targets::met).count() / took,
        count(outcomes, RequestResult.Kind.REFUSED),
        count(outcomes, RequestResult.Kind.FAILED),
        done.stream().mapToLong(RequestResult::tokens).sum() / took,
        milliseconds(first, 0.5),
        milliseconds(first, 0.99),
        milliseconds(next, 0.5),
        milliseconds(next, 0.99));
  }

  private static int count(List<RequestResult> outcomes, RequestResult.Kind kind) {
    return (int) outcomes.stream().filter(outcome -> outcome.kind() == kind).count();
  }

  /** The quantile {@code part} of sorted values in milliseconds; 0 if empty. */
  private static double milliseconds(long[] sorted, double part) {
    if (sorted.length == 0) {
      return 0;
    }
    int rank = (int) Math.ceil(part * sorted.length) - 1;
    return sorted[Math.max(0, rank)] / 1e6;
  }

  String toRow() {
    return Words.of(
        "%-8s %8.1f %8.1f %8.1f %8d %8d %9.0f %10.1f %10.1f %9.2f %9.2f",
        load,
        requestsPerS,
        donePerS,
        goodPerS,
        refused,
        failed,
        tokensPerS,
        firstMsP50,
        firstMsP99,
        nextMsP50,
        nextMsP99);
  }
}

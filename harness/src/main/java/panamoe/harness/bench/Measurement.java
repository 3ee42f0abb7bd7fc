package panamoe.harness.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import panamoe.harness.ComputeType;

/**
 * The result for one cell; {@code --json} prints it as one line.
 *
 * @param gflops floating-point operations per second by the median call
 * @param gbytesPerS bytes per second by the median call
 * @param tokensPerS tokens per second by the median call; null if a call runs only a part of a
 *     model
 * @param limitMs the roofline time, median over bursts; null if the ceilings are unknown
 * @param rooflineFraction limitMs / measured time, median over bursts; null if the ceilings are
 *     unknown
 * @param hostMs what launching a call and waiting for it takes beside its kernels; null unless they
 *     are timed apart
 * @param peer the program that ran the same work in turns with ours, or null
 * @param ratio the peer's time / our time
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonInclude(JsonInclude.Include.NON_NULL)
record Measurement(
    String name,
    String shape,
    int tokens,
    ComputeType dtype,
    int threads,
    double medianMs,
    double minMs,
    double gflops,
    double gbytesPerS,
    Double tokensPerS,
    Double limitMs,
    Double rooflineFraction,
    Double hostMs,
    String peer,
    Double peerMedianMs,
    Double ratio) {

  static final String HEADER =
      String.format(
          Locale.ROOT,
          "%-19s %-16s %6s %-5s %11s %11s %9s %8s %11s %9s",
          "name",
          "shape",
          "tokens",
          "dtype",
          "median ms",
          "min ms",
          "GFLOP/s",
          "GB/s",
          "limit ms",
          "roofline");

  /**
   * @param ours with ceilings if they are known
   * @param hostMs null unless kernels are timed apart
   * @param peer null without a peer; then {@code theirs} is null too
   */
  static Measurement of(
      Cell cell, Workload work, Timing ours, Double hostMs, String peer, Timing theirs) {
    double seconds = ours.medianMs() / 1e3;
    int tokens = cell.kind().modelTokens(cell.tokens());
    boolean known = ours.bursts().getFirst().ceilings() != null;
    ToDoubleFunction<Ceilings> limitMs =
        ceilings -> 1e3 * ceilings.rooflineSeconds(work, cell.dtype().dtype());
    return new Measurement(
        cell.name(),
        cell.shape().name(),
        cell.tokens(),
        cell.dtype(),
        cell.threads(),
        ours.medianMs(),
        ours.minMs(),
        work.cost().flops() / seconds / 1e9,
        work.cost().bytes() / seconds / 1e9,
        tokens == 0 ? null : tokens / seconds,
        known ? ours.limitMs(limitMs) : null,
        known ? ours.rooflineFraction(limitMs) : null,
        hostMs,
        peer,
        theirs == null ? null : theirs.medianMs(),
        theirs == null ? null : theirs.medianMs() / ours.medianMs());
  }

  /** A table row under {@link #HEADER}, followed by the values that only some cells have. */
  String toRow() {
    String row =
        String.format(
            Locale.ROOT,
            "%-19s %-16s %6d %-5s %11.4f %11.4f %9.1f %8.1f %11s %9s",
            name,
            shape,
            tokens,
            dtype,
            medianMs,
            minMs,
            gflops,
            gbytesPerS,
            limitMs == null ? "-" : String.format(Locale.ROOT, "%.4f", limitMs),
            rooflineFraction == null
                ? "-"
                : String.format(Locale.ROOT, "%.0f %%", 100 * rooflineFraction));
    if (hostMs != null) {
      row += String.format(Locale.ROOT, "   host %.4f ms", hostMs);
    }
    if (tokensPerS != null) {
      row += String.format(Locale.ROOT, "   %.1f tokens/s", tokensPerS);
    }
    if (peer != null) {
      row += String.format(Locale.ROOT, "   %s %.4f ms, ratio %.2f", peer, peerMedianMs, ratio);
    }
    return row;
  }
}

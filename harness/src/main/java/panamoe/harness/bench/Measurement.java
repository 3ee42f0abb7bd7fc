package panamoe.harness.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import panamoe.harness.ComputeType;

/**
 * A measured cell; with {@code --json} one line.
 *
 * @param gflops floating-point operations a second at the median
 * @param gbytesPerS bytes a second at the median
 * @param tokensPerS tokens a second at the median; null where a call runs but a part of a model
 * @param limitMs the time that the machine's ceilings allow, the median over bursts; null where
 *     they are not known
 * @param rooflineFraction that time by what calls took, the median over bursts; null as well
 * @param peer who ran the same work in turns with us, or null
 * @param ratio the peer's time by ours
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
   * @param ours with ceilings, or without where they are not known
   * @param peer null for none, and then {@code theirs} as well
   */
  static Measurement of(Cell cell, Workload work, Timing ours, String peer, Timing theirs) {
    double seconds = ours.medianMs() / 1e3;
    int tokens = cell.kind().modelTokens(cell.tokens());
    boolean known = ours.bursts().getFirst().ceilings() != null;
    ToDoubleFunction<Ceilings> limitMs =
        ceilings -> 1e3 * ceilings.rooflineSeconds(work, cell.dtype().dtype());
    return new Measurement(
        cell.kind().label(),
        cell.shape().name(),
        cell.tokens(),
        cell.dtype(),
        cell.threads(),
        ours.medianMs(),
        ours.minMs(),
        work.flops() / seconds / 1e9,
        work.bytes() / seconds / 1e9,
        tokens == 0 ? null : tokens / seconds,
        known ? ours.limitMs(limitMs) : null,
        known ? ours.rooflineFraction(limitMs) : null,
        peer,
        theirs == null ? null : theirs.medianMs(),
        theirs == null ? null : theirs.medianMs() / ours.medianMs());
  }

  /** A row under {@link #HEADER}, and behind it what only some cells have. */
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
    if (tokensPerS != null) {
      row += String.format(Locale.ROOT, "   %.1f tokens/s", tokensPerS);
    }
    if (peer != null) {
      row += String.format(Locale.ROOT, "   %s %.4f ms, ratio %.2f", peer, peerMedianMs, ratio);
    }
    return row;
  }
}

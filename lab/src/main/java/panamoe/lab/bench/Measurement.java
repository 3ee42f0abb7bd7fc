package panamoe.lab.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.util.function.ToDoubleFunction;
import panamoe.harness.Activations;
import panamoe.harness.ComputeType;
import panamoe.harness.probe.Ceilings;
import panamoe.io.Words;
import panamoe.tensor.DType;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * The result of one cell; {@code --json} prints it as one flat object per line.
 *
 * @param roofline null if the ceilings are unknown
 * @param hostMs host time of a call (launches and waits); null if not timed separately
 * @param beside null without a peer
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonInclude(JsonInclude.Include.NON_NULL)
record Measurement(
    @JsonUnwrapped Labels cell,
    @JsonUnwrapped Speed speed,
    @JsonUnwrapped Roofline roofline,
    Double hostMs,
    @JsonUnwrapped Beside beside) {

  /**
   * What was measured.
   *
   * @param texts number of sequences; null for one
   * @param quantize weight format of a model's file; null without a file
   * @param activations dtype that quantized weights are multiplied by; null without a file, and for
   *     INT8
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Labels(
      String name,
      String shape,
      int tokens,
      Integer texts,
      ComputeType dtype,
      WeightFormat quantize,
      Activations activations,
      int threads) {
    static Labels of(Cell cell) {
      return new Labels(
          cell.name(),
          cell.shape().name(),
          cell.tokens(),
          cell.texts() == 1 ? null : cell.texts(),
          cell.dtype(),
          cell.file() == null ? null : cell.file().held(),
          cell.file() == null || cell.file().activations() == Activations.INT8
              ? null
              : cell.file().activations(),
          cell.threads());
    }

    /** The weight format. */
    String held() {
      return (quantize == null ? dtype : quantize).toString();
    }
  }

  /**
   * How long a call takes.
   *
   * @param gflops floating-point operations per second by the median call
   * @param gbytesPerS bytes per second by the median call
   * @param tokensPerS tokens per second by the median call; null if a call runs only a part of a
   *     model
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Speed(double medianMs, double minMs, double gflops, double gbytesPerS, Double tokensPerS) {
    static Speed of(Cell cell, Workload work, Timing timing) {
      double seconds = timing.medianMs() / 1e3;
      int tokens = cell.kind().modelTokens(cell.tokens(), cell.texts());
      return new Speed(
          timing.medianMs(),
          timing.minMs(),
          work.cost().flops() / seconds / 1e9,
          work.cost().bytes() / seconds / 1e9,
          tokens == 0 ? null : tokens / seconds);
    }
  }

  /**
   * What the machine allows.
   *
   * @param limitMs the roofline time, median over bursts
   * @param rooflineFraction limitMs / measured time, median over bursts
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Roofline(double limitMs, double rooflineFraction) {
    static Roofline of(Cell cell, Workload work, Timing timing) {
      if (timing.bursts().getFirst().ceilings() == null) {
        return null;
      }
      DType products = work.products(cell.dtype().dtype());
      ToDoubleFunction<Ceilings> limitMs =
          ceilings -> 1e3 * ceilings.rooflineSeconds(work.cost(), products);
      return new Roofline(timing.limitMs(limitMs), timing.rooflineFraction(limitMs));
    }
  }

  /**
   * The peer or baseline that alternated with ours.
   *
   * @param ratio the peer's time / our time
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  record Beside(String peer, double peerMedianMs, double ratio) {}

  static final String HEADER =
      "name                 shape            tokens dtype    median"
          + " ms      min ms   GFLOP/s     GB/s    limit ms  roofline";

  /**
   * @param ours with ceilings if they are known
   * @param hostMs null unless kernels are timed separately
   * @param peer null without a peer; then {@code theirs} is null too
   */
  static Measurement of(
      Cell cell, Workload work, Timing ours, Double hostMs, String peer, Timing theirs) {
    return new Measurement(
        Labels.of(cell),
        Speed.of(cell, work, ours),
        Roofline.of(cell, work, ours),
        hostMs,
        peer == null
            ? null
            : new Beside(peer, theirs.medianMs(), theirs.medianMs() / ours.medianMs()));
  }

  /** A table row under {@link #HEADER}, followed by the values that only some cells have. */
  String toRow() {
    String row =
        Words.of(
            "%-20s %-16s %6d %-6s %11.4f %11.4f %9.1f %8.1f %11s %9s",
            cell.name,
            cell.shape,
            cell.tokens,
            cell.held(),
            speed.medianMs,
            speed.minMs,
            speed.gflops,
            speed.gbytesPerS,
            roofline == null ? "-" : Words.of("%.4f", roofline.limitMs),
            roofline == null ? "-" : Words.of("%.0f %%", 100 * roofline.rooflineFraction));
    if (cell.texts != null) {
      row += "   " + cell.texts + " texts";
    }
    if (cell.activations != null) {
      row += "   activations " + cell.activations;
    }
    if (hostMs != null) {
      row += Words.of("   host %.4f ms", hostMs);
    }
    if (speed.tokensPerS != null) {
      row += Words.of("   %.1f tokens/s", speed.tokensPerS);
    }
    if (beside != null) {
      row += Words.of("   %s %.4f ms, ratio %.2f", beside.peer, beside.peerMedianMs, beside.ratio);
    }
    return row;
  }
}

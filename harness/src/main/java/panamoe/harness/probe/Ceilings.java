package panamoe.harness.probe;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import panamoe.nn.Cost;
import panamoe.tensor.DType;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * The machine's peak rates, measured by a native program.
 *
 * @param fmaF32Gflops fused multiply-adds in float32
 * @param dotBf16Gflops bfloat16 dot products; the float32 rate on machines without an instruction
 *     for them
 * @param dotInt8Gops int8 dot products, for quantized weights; null if not measured
 * @param readGbytesPerS memory reads; on a CPU with software prefetch and huge pages
 * @param copyGbytesPerS bytes read plus bytes written by a copy; null if not measured
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonIgnoreProperties(ignoreUnknown = true)
public record Ceilings(
    double fmaF32Gflops,
    double dotBf16Gflops,
    Double dotInt8Gops,
    double readGbytesPerS,
    int threads,
    Double copyGbytesPerS) {
  public Ceilings higher(Ceilings other) {
    return new Ceilings(
        Math.max(fmaF32Gflops, other.fmaF32Gflops),
        Math.max(dotBf16Gflops, other.dotBf16Gflops),
        dotInt8Gops == null ? null : Math.max(dotInt8Gops, other.dotInt8Gops),
        Math.max(readGbytesPerS, other.readGbytesPerS),
        threads,
        copyGbytesPerS);
  }

  /** These ceilings with another read bandwidth. */
  Ceilings reading(double gbytesPerS) {
    return new Ceilings(
        fmaF32Gflops, dotBf16Gflops, dotInt8Gops, gbytesPerS, threads, copyGbytesPerS);
  }

  /**
   * The lower bound of the work's time in seconds: the larger of bytes / bandwidth and operations /
   * peak. Work that also writes is compared with the copy rate if measured.
   *
   * @param products dtype of products; INT8 for quantized weights
   */
  public double rooflineSeconds(Cost cost, DType products) {
    double peak =
        switch (products) {
          case INT8 -> dotInt8Gops;
          case BFLOAT16 -> dotBf16Gflops;
          default -> fmaF32Gflops;
        };
    boolean copies = copyGbytesPerS != null && cost.bytesWritten() > 0;
    double bandwidth = copies ? copyGbytesPerS : readGbytesPerS;
    return Math.max(cost.bytes() / (bandwidth * 1e9), cost.flops() / (peak * 1e9));
  }
}

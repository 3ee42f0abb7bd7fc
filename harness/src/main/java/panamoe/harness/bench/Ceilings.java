package panamoe.harness.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import panamoe.tensor.DType;

/**
 * The machine's peak rates, measured by a native program.
 *
 * @param fmaF32Gflops fused multiply-adds in float32
 * @param dotBf16Gflops bfloat16 dot products; the float32 rate on machines without an instruction
 *     for them
 * @param readGbytesPerS memory reads; on a CPU with software prefetch and huge pages
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonIgnoreProperties(ignoreUnknown = true)
record Ceilings(double fmaF32Gflops, double dotBf16Gflops, double readGbytesPerS, int threads) {
  /** The maximum of each rate. */
  Ceilings higher(Ceilings other) {
    return new Ceilings(
        Math.max(fmaF32Gflops, other.fmaF32Gflops),
        Math.max(dotBf16Gflops, other.dotBf16Gflops),
        Math.max(readGbytesPerS, other.readGbytesPerS),
        threads);
  }

  /** These ceilings with another read bandwidth. */
  Ceilings reading(double gbytesPerS) {
    return new Ceilings(fmaF32Gflops, dotBf16Gflops, gbytesPerS, threads);
  }

  /**
   * The lower bound of the work's time in seconds: the larger of bytes / bandwidth and operations /
   * peak.
   */
  double rooflineSeconds(Workload work, DType dtype) {
    double peak = dtype == DType.BFLOAT16 ? dotBf16Gflops : fmaF32Gflops;
    return Math.max(work.bytes() / (readGbytesPerS * 1e9), work.flops() / (peak * 1e9));
  }
}

package panamoe.harness.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import panamoe.tensor.DType;

/**
 * What the machine can do at best, measured by a native program beside the library.
 *
 * @param fmaF32Gflops fused multiply-adds in float32
 * @param dotBf16Gflops bfloat16 dot products; as float32 on machines without an instruction for
 *     them
 * @param readGbytesPerS reading memory; on a CPU with software prefetch and huge pages
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonIgnoreProperties(ignoreUnknown = true)
record Ceilings(double fmaF32Gflops, double dotBf16Gflops, double readGbytesPerS, int threads) {
  /** The higher of each. */
  Ceilings higher(Ceilings other) {
    return new Ceilings(
        Math.max(fmaF32Gflops, other.fmaF32Gflops),
        Math.max(dotBf16Gflops, other.dotBf16Gflops),
        Math.max(readGbytesPerS, other.readGbytesPerS),
        threads);
  }

  /** The same with memory of this speed. */
  Ceilings reading(double gbytesPerS) {
    return new Ceilings(fmaF32Gflops, dotBf16Gflops, gbytesPerS, threads);
  }

  /**
   * Seconds that the work takes at least: its bytes at full bandwidth or its operations at peak,
   * whichever is more.
   */
  double rooflineSeconds(Workload work, DType dtype) {
    double peak = dtype == DType.BFLOAT16 ? dotBf16Gflops : fmaF32Gflops;
    return Math.max(work.bytes() / (readGbytesPerS * 1e9), work.flops() / (peak * 1e9));
  }
}

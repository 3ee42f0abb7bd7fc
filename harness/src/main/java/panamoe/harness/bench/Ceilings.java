package panamoe.harness.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import panamoe.tensor.DType;

/**
 * What the machine can do at best, measured by a native program beside the library.
 *
 * @param fmaF32Gflops fused multiply-adds in float32
 * @param dotBf16Gflops bfloat16 dot products; as float32 on machines without an instruction for them
 * @param readGbytesPerS reading memory; on a CPU with software prefetch and huge pages
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
@JsonIgnoreProperties(ignoreUnknown = true)
record Ceilings(double fmaF32Gflops, double dotBf16Gflops, double readGbytesPerS, int threads) {
  private static final Map<String, String> PROGRAMS = Map.of("cpu", "ceilings_bench", "cuda", "cuda_ceilings_bench");

  /** Whether a device of this name is measured against the machine; plain Java and the emulation are not. */
  static boolean known(String device) {
    return PROGRAMS.containsKey(device);
  }

  /**
   * Runs the program; empty if it was not built.
   *
   * @param device one that is {@link #known}
   * @param threads 0 for one per processor
   * @param realTime whether at real-time priority
   */
  static Optional<Ceilings> measure(String device, int threads, boolean realTime)
      throws IOException, InterruptedException {
    Optional<Path> program = NativeBuild.sibling(PROGRAMS.get(device));
    if (program.isEmpty()) {
      return Optional.empty();
    }
    int count = threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    List<String> command = new ArrayList<>(realTime ? List.of("chrt", "--fifo", "10") : List.of());
    command.addAll(List.of(program.get().toString(), Integer.toString(count)));
    Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    String line = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(program.get() + " failed with exit code " + process.exitValue());
    }
    return Optional.of(new ObjectMapper().readValue(line, Ceilings.class));
  }

  /** The higher of each. */
  Ceilings higher(Ceilings other) {
    return new Ceilings(
        Math.max(fmaF32Gflops, other.fmaF32Gflops),
        Math.max(dotBf16Gflops, other.dotBf16Gflops),
        Math.max(readGbytesPerS, other.readGbytesPerS),
        threads);
  }

  /** Seconds that the work takes at least: its bytes at full bandwidth or its operations at peak, whichever is more. */
  double rooflineSeconds(Workload work, DType dtype) {
    double peak = dtype == DType.BFLOAT16 ? dotBf16Gflops : fmaF32Gflops;
    return Math.max(work.bytes() / (readGbytesPerS * 1e9), work.flops() / (peak * 1e9));
  }
}

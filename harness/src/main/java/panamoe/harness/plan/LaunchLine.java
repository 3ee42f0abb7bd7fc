package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import panamoe.parallel.Topology;

/** The command that runs a plan of training. */
final class LaunchLine {
  private LaunchLine() {}

  /**
   * @param config a file with the run's settings
   * @param overlap parts that rows travel in; 0: as between cards by default
   */
  static String of(String config, Topology topology, int overlap) {
    List<String> words = new ArrayList<>();
    boolean several = topology.ranks() > 1;
    if (several) {
      words.addAll(List.of("mpirun", "-n", "" + topology.ranks()));
    }
    words.addAll(List.of("./panamoe", "train", "--config", config, "--data", "TOKENS"));
    if (several) {
      words.addAll(List.of("--comm", "nccl"));
    }
    words.addAll(List.of("--device", "cuda"));
    if (several) {
      words.addAll(List.of("--ep", "" + topology.expertDegree()));
    }
    if (topology.tensorDegree() > 1) {
      words.addAll(List.of("--tp", "" + topology.tensorDegree()));
    }
    if (topology.expertSlices() > 1) {
      words.addAll(List.of("--expert-slices", "" + topology.expertSlices()));
    }
    if (overlap > 0) {
      words.addAll(List.of("--overlap", "" + overlap));
    }
    words.addAll(List.of("--out", "RUN"));
    return String.join(" ", words);
  }
}

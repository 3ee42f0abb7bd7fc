package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import panamoe.harness.ComputeType;
import panamoe.harness.ShellWord;
import panamoe.parallel.Topology;
import panamoe.plan.Cluster;
import panamoe.plan.Plan;
import panamoe.plan.Search;

/** The command that runs a plan. */
final class LaunchLine {
  private LaunchLine() {}

  /**
   * @param config a file with the run's settings
   * @param overlap parts that rows travel in; 0: as between cards by default
   */
  static String ofTraining(String config, Cluster cluster, Topology topology, int overlap) {
    List<String> train = List.of("train", "--config", config, "--data", "TOKENS");
    return of(train, cluster, topology, overlap, List.of("--out", "RUN"));
  }

  /** The exchange is {@code auto}, which measures what the plan predicts. */
  static String ofServing(Search search, Plan plan) {
    List<String> sizes =
        List.of(
            "--dtype", ComputeType.of(search.dtype()).toString(), "--sequences", "" + plan.batch());
    int overlap = search.latency().optimizations().overlap();
    return of(List.of("serve", "MODEL"), search.cluster(), plan.topology(), overlap, sizes);
  }

  /** Ranks that are cards are processes; those of a machine's processors are threads. */
  private static String of(
      List<String> command, Cluster cluster, Topology topology, int overlap, List<String> others) {
    String device = cluster.machine() == null ? "cuda" : cluster.machine().device();
    boolean cards = device.equals("cuda");
    boolean several = topology.ranks() > 1;
    boolean threads = !cards && topology.ranks() <= cluster.node().cards();
    List<String> words = new ArrayList<>();
    if (several && !threads) {
      words.addAll(List.of("mpirun", "-n", "" + topology.ranks()));
    }
    words.add("./panamoe");
    words.addAll(command);
    if (several) {
      words.addAll(
          threads
              ? List.of("--ranks", "" + topology.ranks())
              : List.of("--comm", cards ? "nccl" : "mpi"));
    }
    words.addAll(List.of("--device", device));
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
    words.addAll(others);
    return words.stream().map(ShellWord::quoted).collect(Collectors.joining(" "));
  }
}

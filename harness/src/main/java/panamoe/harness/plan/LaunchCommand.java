package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import panamoe.harness.ShellWord;
import panamoe.parallel.Topology;
import panamoe.plan.Cluster;
import panamoe.plan.PlanSearch;

/** Prints the command line that runs a plan. */
final class LaunchCommand {
  private LaunchCommand() {}

  /**
   * On GPUs each rank is a process; on a machine's processors each rank is a thread.
   *
   * @param command with its arguments
   * @param others options after those of ranks
   */
  static String of(
      List<String> command, PlanSearch search, Topology topology, List<String> others) {
    Cluster cluster = search.cluster();
    int overlap = search.objective().times().optimizations().overlap();
    String device = cluster.machine() == null ? "cuda" : cluster.machine().device();
    boolean devices = device.equals("cuda");
    boolean several = topology.ranks() > 1;
    boolean threads = !devices && topology.ranks() <= cluster.node().devices();
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
              : List.of("--comm", devices ? "nccl" : "mpi"));
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

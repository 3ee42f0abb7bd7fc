package panamoe.harness.plan;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.harness.doctor.SystemFile;
import panamoe.harness.probe.Ceilings;
import panamoe.harness.probe.Roofline;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.parallel.Ranks;
import panamoe.plan.Cluster;
import panamoe.plan.Constant;
import panamoe.plan.Constant.Kind;
import panamoe.plan.Machine;
import panamoe.plan.Node;
import panamoe.tensor.DType;

/**
 * Measures the ranks of a run as the devices of a cluster: each rank's share of the machine while
 * all of them work. Constructor, measurement and close are collective.
 */
final class Calibration implements AutoCloseable {
  private static final double PART_OF_RATES = 0.2;

  private final Ranks ranks;
  private final Backend backend;
  private final int onNode;
  private final Roofline roofline; // null on ranks that have no processor of their own
  private final MeasuredModels models;
  private final MeasuredCosts serving;
  private final MeasuredCosts training;

  /**
   * @param dtype of the timed steps
   * @param steps to time; the cluster gets no efficiency of others
   * @throws IllegalArgumentException if the device's ceilings cannot be measured
   */
  Calibration(Ranks ranks, Backend backend, DType dtype, MeasuredSteps steps) throws IOException {
    this.ranks = ranks;
    this.backend = backend;
    Communicator world = ranks.world();
    int nodes = (int) LongStream.of(world.allGather(world.node())).distinct().count();
    this.onNode = world.size() / nodes;
    Require.that(
        world.size() % nodes == 0, "%s ranks are not evenly on %s nodes", world.size(), nodes);
    Require.that(
        backend.name().equals("cpu") || world.size() == 1,
        "--device %s is measured by one rank; only the CPU is measured by several",
        backend.name());
    this.models = new MeasuredModels(ranks, backend, dtype);
    this.serving = steps.serve() ? MeasuredCosts.ofServing(models) : MeasuredCosts.NONE;
    this.training = steps.train() ? MeasuredCosts.ofTraining(models) : MeasuredCosts.NONE;
    this.roofline = roofline(); // models hold no memory yet, so they need no close if this fails
  }

  private Roofline roofline() throws IOException {
    int threads = Runtime.getRuntime().availableProcessors();
    if (ranks.world().rank() % onNode >= threads) {
      return null;
    }
    Roofline found = new Roofline(backend.name(), Math.max(1, threads / onNode), false);
    if (found.highest() == null) {
      throw new IllegalArgumentException(
          Roofline.known(backend.name())
              ? "the program that measures ceilings is missing: run panamoe build"
              : "--device " + backend.name() + " has no ceilings that could be measured");
    }
    return found;
  }

  void warmUp(DoubleConsumer progress) throws InterruptedException {
    Probe.medians(probes(), 1, _ -> progress.accept(0));
  }

  /**
   * * Measures the cluster. * * @param rounds of steps; the median counts
   *
   * @param progress receives the part that is done, 0 to 1
   * @return the cluster on rank 0, null on other ranks
   */
  Cluster measure(int rounds, DoubleConsumer progress) throws IOException, InterruptedException {
    Node node = node();
    progress.accept(PART_OF_RATES);
    double[] seconds =
        Probe.medians(
            probes(), rounds, part -> progress.accept(PART_OF_RATES + (1 - PART_OF_RATES) * part));
    if (!ranks.first()) {
      return null;
    }
    int served = serving.probes().size();
    return new Cluster(
        node,
        ranks.world().size(),
        serving.efficiency(node, Arrays.copyOf(seconds, served)),
        training.efficiency(node, Arrays.copyOfRange(seconds, served, seconds.length)),
        here(backend.name()));
  }

  private List<Probe> probes() {
    return Stream.of(serving, training).flatMap(costs -> costs.probes().stream()).toList();
  }

  /** * Describes this machine. * @param device that ranks compute on */
  static Machine here(String device) {
    return new Machine(
        SystemFile.find("/proc/sys/kernel/hostname", Pattern.compile("(\\S+)")).orElse("unnamed"),
        SystemFile.processor(),
        Runtime.getRuntime().availableProcessors(),
        device);
  }

  private Node node() throws IOException {
    Ceilings mine = roofline == null ? null : roofline.now();
    Constant bandwidth =
        rate(mine == null ? 0 : mine.readGbytesPerS(), "bytes/s", "reads of memory");
    Constant float32 = rate(mine == null ? 0 : mine.fmaF32Gflops(), "FLOP/s", "float32");
    Constant bfloat16 = rate(mine == null ? 0 : mine.dotBf16Gflops(), "FLOP/s", "bfloat16");
    NodeLinks links = NodeLinks.measure(ranks.world(), backend, bandwidth);
    return new Node(
        here(backend.name()).name() + "-" + backend.name(),
        onNode,
        Kind.MEASURED.of(
            Math.max(1, backend.memoryAvailable() / onNode),
            "bytes",
            "free memory of the device over " + Count.of(onNode, "rank")),
        bandwidth,
        new Node.Flops(float32, bfloat16),
        links.near(),
        links.far(),
        links.copy());
  }

  /** A rank's share of the rate that all measuring ranks reach together. */
  private Constant rate(double billions, String unit, String what) {
    int size = ranks.world().size();
    return Kind.MEASURED.of(
        1e9 * ranks.world().allReduce(billions) / size,
        unit,
        Words.of(
            "%s, the share of each of %s that run at the same time (ceilings of bench)",
            what, Count.of(size, "rank")));
  }

  @Override
  public void close() {
    if (roofline != null) {
      roofline.close();
    }
    models.close();
  }
}

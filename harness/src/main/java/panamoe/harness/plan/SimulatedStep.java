package panamoe.harness.plan;

import java.util.List;
import panamoe.comm.exchange.Strategy;
import panamoe.harness.ComputeType;
import panamoe.io.Require;
import panamoe.parallel.Topology;
import panamoe.plan.Cluster;
import panamoe.plan.ExchangeTime;
import panamoe.plan.Optimizations;

/**
 * The settings of a simulation.
 *
 * @param tokens per data rank
 * @param dtype of rows
 */
record SimulatedStep(
    SimulatedLayer layer, Cluster cluster, Topology topology, long tokens, ComputeType dtype) {
  private static final long MOST_TOKENS = 1 << 16;

  SimulatedStep {
    Require.between("--tokens", tokens, 1, MOST_TOKENS);
  }

  long rows() {
    return tokens * layer.topK();
  }

  long rowBytes() {
    return (long) layer.hidden() * dtype.dtype().bytes();
  }

  /** The strategies to simulate: hierarchical only if it differs from flat. */
  List<Strategy> strategies() {
    ExchangeTime time = new ExchangeTime(cluster.node(), topology, Optimizations.PANAMOE);
    return time.hasLevels(topology.expertDegree(layer.experts()))
        ? List.of(Strategy.FLAT, Strategy.HIERARCHICAL)
        : List.of(Strategy.FLAT);
  }
}

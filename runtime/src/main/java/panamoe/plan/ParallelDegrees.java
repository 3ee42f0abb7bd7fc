package panamoe.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;
import panamoe.parallel.Topology;

/** The data, expert, tensor and expert-slice degrees that divide a model on a cluster. */
record ParallelDegrees(ModelConfig config) {
  ParallelDegrees {
    Require.that(
        config.encoder() == null && config.embedding().relative() == null,
        "a model with an encoder or relative positions runs on one rank: there is nothing to plan");
  }

  /**
   * Lets an interrupt end a search, which may take long for a thousand layers.
   *
   * @throws CancellationException if this thread was interrupted
   */
  static void requireNoInterrupt() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("the search was interrupted");
    }
  }

  /** The topologies that use all devices of {@code part}; tensor groups stay within a node. */
  List<Topology> topologies(Cluster part) {
    int experts = config.experts().stream().max(Integer::compare).orElse(0);
    List<Topology> topologies = new ArrayList<>();
    int ranks = part.devices();
    int onNode = Math.min(ranks, part.node().devices());
    for (int tensor = 1; tensor <= onNode; tensor++) {
      if (onNode % tensor != 0 || !divides(tensor)) {
        continue;
      }
      int data = ranks / tensor;
      for (int slices = 1; slices <= tensor; slices++) {
        if (tensor % slices != 0 || !sliced(slices) || experts == 0 && slices > 1) {
          continue;
        }
        int most = Math.max(1, Math.min(experts, ranks / slices));
        for (int degree = 1; degree <= most; degree++) {
          boolean allowed =
              data % degree == 0 || degree % data == 0 && ranks / slices % degree == 0;
          if (allowed) {
            topologies.add(new Topology(ranks, degree, tensor, slices));
          }
        }
      }
    }
    return topologies;
  }

  /** Whether heads and MLPs divide among {@code tensor} ranks. */
  private boolean divides(int tensor) {
    for (BlockConfig block : config.blocks()) {
      try {
        block.attention().requireShared(tensor);
      } catch (IllegalArgumentException _) {
        return false;
      }
      int inner =
          switch (block.feedForward()) {
            case DenseConfig dense -> dense.inner();
            case MoeConfig moe when moe.residual() != null -> moe.residual().inner();
            case MoeConfig moe when moe.shared() != null -> moe.shared().inner();
            case MoeConfig _ -> 0;
          };
      if (inner % tensor != 0) {
        return false;
      }
    }
    return true;
  }

  private boolean sliced(int slices) {
    return config.blocks().stream()
        .allMatch(
            block -> !(block.feedForward() instanceof MoeConfig moe) || moe.inner() % slices == 0);
  }
}

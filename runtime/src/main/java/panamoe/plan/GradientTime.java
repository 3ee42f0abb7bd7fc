package panamoe.plan;

import java.util.List;
import java.util.stream.IntStream;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.GradientMessage;

/**
 * The α–β times of gradients and updated weights between replicas, in rings. Where several replicas
 * of a ring are on a node, its rings leave the node through the network cards of all of them.
 */
record GradientTime(Node node, Topology topology) {
  double seconds(List<GradientMessage> messages) {
    return messages.stream()
        .mapToDouble(
            message ->
                2
                    * ring(
                        message.replicas(),
                        onNode(message),
                        (double) message.elements() * DType.FLOAT32.bytes()))
        .sum();
  }

  /**
   * A reduce-scatter or an all-gather.
   *
   * @param local ranks of the ring that are on one node
   */
  double ring(int ranks, int local, double bytes) {
    double sent = bytes * (1 - 1.0 / ranks);
    if (local >= ranks) {
      return node.near().seconds(ranks - 1, sent);
    }
    int nodes = Math.ceilDiv(ranks, local);
    Link far = node.far();
    double bandwidth = local * far.bandwidth().value();
    if (local > 1) {
      bandwidth = Math.min(bandwidth, node.near().bandwidth().value());
    }
    return far.seconds(nodes - 1, 0)
        + (ranks - nodes) * node.near().perPeer().value()
        + sent / bandwidth;
  }

  /** The ranks on the first node that take part in its first rank's messages. */
  private int onNode(GradientMessage message) {
    int cards = Math.min(node.cards(), topology.ranks());
    if (!message.experts()) {
      return message.replicas() == topology.ranks() ? cards : cards / topology.tensorDegree();
    }
    int degree = topology.ranks() / topology.expertSlices() / message.replicas();
    return (int)
        IntStream.range(0, cards)
            .filter(rank -> topology.slice(rank) == topology.slice(0))
            .filter(rank -> topology.expert(rank, degree) == topology.expert(0, degree))
            .count();
  }
}

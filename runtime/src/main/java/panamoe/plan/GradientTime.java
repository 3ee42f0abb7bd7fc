package panamoe.plan;

import java.util.List;
import java.util.stream.IntStream;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.GradientMessage;

/** Ring-collective time to reduce gradients and to gather updated weights among replicas. */
record GradientTime(Node node, Topology topology) {
  double seconds(List<GradientMessage> messages) {
    return messages.stream().mapToDouble(this::seconds).sum();
  }

  /** A reduce-scatter of gradients, then an all-gather of weights. */
  private double seconds(GradientMessage message) {
    double bytes = (double) message.elements() * DType.FLOAT32.bytes();
    return 2 * new Ring(node, message.replicas(), onNode(message)).seconds(1, bytes);
  }

  /** Ranks on the first node that are replicas of rank 0's parameters. */
  private int onNode(GradientMessage message) {
    int devices = Math.min(node.devices(), topology.ranks());
    if (!message.experts()) {
      return message.replicas() == topology.ranks() ? devices : devices / topology.tensorDegree();
    }
    int degree = topology.ranks() / topology.expertSlices() / message.replicas();
    return (int)
        IntStream.range(0, devices)
            .filter(rank -> topology.slice(rank) == topology.slice(0))
            .filter(rank -> topology.expert(rank, degree) == topology.expert(0, degree))
            .count();
  }
}

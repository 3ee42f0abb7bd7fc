package panamoe.plan;

/**
 * The time of ring collectives, by NCCL's formula. A node with several ranks runs several rings,
 * which together use the NICs of all its ranks.
 *
 * @param ranks number in the ring
 * @param local number of them on one node
 */
record Ring(Node node, int ranks, int local) {
  /**
   * Seconds of one collective.
   *
   * @param rounds 1 for a reduce-scatter or an all-gather, 2 for an all-reduce
   * @param bytes of the whole tensor
   */
  double seconds(int rounds, double bytes) {
    double sent = rounds * bytes * (1 - 1.0 / ranks);
    if (local >= ranks) {
      return node.near().seconds(rounds * (ranks - 1), sent);
    }
    int nodes = Math.ceilDiv(ranks, local);
    Link far = node.far();
    double bandwidth = local * far.bandwidth().value();
    if (local > 1) {
      bandwidth = Math.min(bandwidth, node.near().bandwidth().value());
    }
    return far.seconds(rounds * (nodes - 1), 0)
        + rounds * (ranks - nodes) * node.near().perPeer().value()
        + sent / bandwidth;
  }
}

package panamoe.plan;

/**
 * Ranks that pass bytes around in a ring, as NCCL counts the time of it. Where several of them are
 * on a node, its rings leave the node through the NICs of all of them.
 *
 * @param ranks of the ring
 * @param local those that are on one node
 */
record Ring(Node node, int ranks, int local) {
  /**
   * Seconds of one collective.
   *
   * @param rounds 1: a reduce-scatter or an all-gather; 2: both, as a sum on every rank
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

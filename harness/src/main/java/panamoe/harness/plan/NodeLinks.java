package panamoe.harness.plan;

import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.io.Count;
import panamoe.plan.Constant;
import panamoe.plan.Constant.Kind;
import panamoe.plan.Link;
import panamoe.plan.Node;

/**
 * The measured links of a node.
 *
 * @param near between ranks of one machine
 * @param far between machines
 * @param copy in a rank's memory
 */
record NodeLinks(Link near, Link far, Node.Copy copy) {
  /**
   * Measures the links between the ranks of {@code world}. Collective.
   *
   * @param bandwidth of a rank's memory, assumed for links that do not exist here
   */
  static NodeLinks measure(Communicator world, Backend backend, Constant bandwidth) {
    int here = world.node();
    long[] nodes = world.allGather(here);
    int place = (int) LongStream.of(nodes).limit(world.rank()).filter(n -> n == here).count();
    Link near;
    Link far;
    try (Communicator node = world.split(here, world.rank(), "node");
        Communicator across = world.split(place, world.rank(), "across nodes")) {
      near = of(node, backend, "within a machine");
      far = of(across, backend, "between machines");
    }
    if (near == null) {
      near = far == null ? unused(bandwidth) : assumed(far, "between machines");
    }
    return new NodeLinks(
        near, far == null ? assumed(near, "within one") : far, copy(bandwidth.value()));
  }

  private static Link of(Communicator group, Backend backend, String where) {
    return group.size() == 1
        ? null
        : LinkMeasurement.of(group, backend, "of " + Count.of(group.size(), "rank") + " " + where);
  }

  private static Link assumed(Link other, String where) {
    return new Link(
        assumed(other.base(), where),
        assumed(other.perPeer(), where),
        assumed(other.bandwidth(), where));
  }

  private static Constant assumed(Constant other, String where) {
    return Kind.ASSUMED.of(
        other.value(), other.unit(), "not measured with these ranks: assumed as " + where);
  }

  /** The link of a single rank, which sends nothing. */
  private static Link unused(Constant bandwidth) {
    Constant nothing = nothing("measured with one rank, which has no peers");
    return new Link(nothing, nothing, assumed(bandwidth, "memory is read"));
  }

  private static Constant nothing(String why) {
    return new Constant(1e-9, "s", Kind.ASSUMED, why);
  }

  private static Node.Copy copy(double bandwidth) {
    return new Node.Copy(
        nothing("included in the measured base of an exchange"),
        new Constant(bandwidth, "bytes/s", Kind.ASSUMED, "as memory is read"));
  }
}

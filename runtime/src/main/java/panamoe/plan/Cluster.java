package panamoe.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * Cards of whole nodes, or some cards of one.
 *
 * @param cards all of them
 * @param efficiency that Panamoe was measured to have there; null if it was not
 * @param training the same, of optimizer steps; null if none were timed
 * @param machine that was measured; null if none was
 */
public record Cluster(
    Node node,
    int cards,
    @Omittable Efficiency efficiency,
    @Omittable Efficiency training,
    @Omittable Machine machine) {
  /** Most cards. */
  public static final int MOST = 1 << 16;

  /** Cards that nothing was measured on. */
  public Cluster(Node node, int cards) {
    this(node, cards, null, null, null);
  }

  public Cluster {
    Require.that(node != null, "a cluster needs a node");
    requireServing(efficiency);
    requireTraining(training);
    Require.that(
        cards >= 1 && cards <= MOST, "a cluster has %s cards, expected 1 to %s", cards, MOST);
    if (cards > node.cards() && cards % node.cards() != 0) {
      int fewer = cards / node.cards() * node.cards();
      throw Require.refusal(
          "%s cards are no whole nodes of %s; take %s or %s",
          cards, node.cards(), fewer, fewer + node.cards());
    }
  }

  private static void requireServing(Efficiency of) {
    if (of != null) {
      Require.that(
          of.layer() != null && of.expert() != null,
          "an efficiency of serving needs layer and expert");
      Require.that(
          (of.step() == null) == (of.logit() == null),
          "an efficiency of serving needs both step and logit, or neither");
      Require.that(of.activation() == null, "an efficiency of serving has no activation");
    }
  }

  private static void requireTraining(Efficiency of) {
    if (of != null) {
      Require.that(
          (of.layer() == null) == (of.activation() == null),
          "an efficiency of training needs both layer and activation, or neither");
      Require.that(
          of.step() == null && of.logit() == null && of.expert() == null,
          "an efficiency of training has no step, logit or expert");
    }
  }

  /**
   * Reads {@code NODE:CARDS} with a known node, or the JSON file of that name.
   *
   * @throws IllegalArgumentException that says which nodes there are
   */
  public static Cluster of(String text) {
    int colon = text.lastIndexOf(':');
    Node node = colon < 0 ? null : Node.KNOWN.get(text.substring(0, colon));
    if (node != null) {
      return new Cluster(node, number(text.substring(colon + 1)));
    }
    Path file = Path.of(text);
    if (text.isBlank() || !Files.exists(file)) {
      throw Require.refusal(
          "'%s' is neither a file nor NODE:CARDS with a node of %s",
          text, String.join(", ", Node.KNOWN.keySet()));
    }
    return ConfigJson.read(file, Cluster.class);
  }

  private static int number(String text) {
    try {
      return Integer.parseInt(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "'" + text + "' is no number of cards, as in dgx-a100:32", e);
    }
  }

  /** Other cards of the same node. */
  Cluster with(int others) {
    return new Cluster(node, others, efficiency, training, machine);
  }

  /** A whole node, where the cluster is a part of one, and clusters of 2, 4, ... times its size. */
  List<Cluster> larger() {
    return from(cards < node.cards() ? node.cards() : 2L * cards);
  }

  /** Clusters of {@code least} cards and of 2, 4, ... times as many. */
  List<Cluster> from(long least) {
    List<Cluster> larger = new ArrayList<>();
    for (long size = least; size <= MOST; size *= 2) {
      larger.add(with((int) size));
    }
    return larger;
  }

  /**
   * Parts of the cluster that a plan may take, by size: cards that divide a node, and nodes that
   * are a power of two or divide all nodes.
   */
  List<Cluster> parts() {
    List<Cluster> parts = new ArrayList<>();
    int ofOne = Math.min(cards, node.cards());
    for (int count = 1; count < ofOne; count++) {
      if (ofOne % count == 0) {
        parts.add(with(count));
      }
    }
    int nodes = cards / ofOne;
    for (int count = 1; count <= nodes; count++) {
      if (nodes % count == 0 || Integer.bitCount(count) == 1) {
        parts.add(with(count * ofOne));
      }
    }
    return parts;
  }

  @Override
  public String toString() {
    return node.name() + ":" + cards;
  }
}

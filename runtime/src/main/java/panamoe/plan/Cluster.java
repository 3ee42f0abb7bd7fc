package panamoe.plan;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.io.Spelling;
import panamoe.io.Words;

/**
 * Several whole nodes, or a part of one node. A device is a GPU, or on a cluster of CPUs a rank's
 * share of the processors.
 *
 * @param devices number in the whole cluster
 * @param efficiency measured for inference on this cluster; null if not measured
 * @param training efficiency measured for optimizer steps; null if not measured
 * @param machine where the constants were measured; null if they were not
 */
public record Cluster(
    Node node,
    @JsonProperty("cards") int devices,
    @Omittable Efficiency efficiency,
    @Omittable Efficiency training,
    @Omittable Machine machine) {
  public static final int MOST = 1 << 16;

  /** A cluster without measurements. */
  public Cluster(Node node, int devices) {
    this(node, devices, null, null, null);
  }

  public Cluster {
    Require.that(node != null, "a cluster needs a node");
    requireServing(efficiency);
    requireTraining(training);
    Require.that(
        devices >= 1 && devices <= MOST,
        "a cluster has %s devices, expected 1 to %s",
        devices,
        MOST);
    if (devices > node.devices() && devices % node.devices() != 0) {
      int fewer = devices / node.devices() * node.devices();
      throw Require.refusal(
          "%s devices are not whole nodes of %s devices; take %s or %s",
          devices, node.devices(), fewer, fewer + node.devices());
    }
  }

  private static void requireServing(Efficiency of) {
    if (of != null) {
      Require.that(
          of.layer() != null && of.expert() != null,
          "the efficiency of serving needs layer and expert");
      Require.that(
          (of.step() == null) == (of.logit() == null),
          "the efficiency of serving needs both step and logit, or neither");
      Require.that(of.activation() == null, "the efficiency of serving has no activation");
    }
  }

  private static void requireTraining(Efficiency of) {
    if (of != null) {
      Require.that(
          (of.layer() == null) == (of.activation() == null),
          "the efficiency of training needs both layer and activation, or neither");
      Require.that(
          of.step() == null && of.logit() == null && of.expert() == null,
          "the efficiency of training has no step, logit or expert");
    }
  }

  /**
   * Parses {@code NODE:GPUS} with a known node, or reads a JSON file.
   *
   * @throws IllegalArgumentException if it is neither; the message lists the known nodes
   */
  public static Cluster of(String text) {
    int colon = text.lastIndexOf(':');
    String name = text.substring(0, Math.max(0, colon));
    Node node = Node.KNOWN.get(name);
    if (node != null) {
      return new Cluster(node, number(text.substring(colon + 1)));
    }
    Path file = Path.of(text);
    if (text.isBlank() || !Files.exists(file)) {
      throw Require.refusal(
          "'%s' is neither a file nor NODE:GPUS with a node of %s%s",
          text, String.join(", ", Node.KNOWN.keySet()), Spelling.hint(name, Node.KNOWN.keySet()));
    }
    return ConfigJson.read(file, Cluster.class);
  }

  private static int number(String text) {
    try {
      return Integer.parseInt(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "'" + text + "' is not a number of GPUs, as in dgx-a100:32", e);
    }
  }

  /** This cluster with another number of devices. */
  Cluster with(int others) {
    return new Cluster(node, others, efficiency, training, machine);
  }

  /**
   * Larger clusters to suggest: the whole node if this is a part of one, else 2, 4, ... times as
   * many devices.
   */
  List<Cluster> larger() {
    return from(devices < node.devices() ? node.devices() : 2L * devices);
  }

  /** Clusters of {@code least} devices and of 2, 4, ... times as many. */
  List<Cluster> from(long least) {
    List<Cluster> larger = new ArrayList<>();
    for (long size = least; size <= MOST; size *= 2) {
      larger.add(with((int) size));
    }
    return larger;
  }

  /**
   * Sizes of sub-clusters that a plan may use, rising: divisors of a node, then numbers of nodes
   * that are powers of two or divide all nodes.
   */
  List<Cluster> parts() {
    List<Cluster> parts = new ArrayList<>();
    int ofOne = Math.min(devices, node.devices());
    for (int count = 1; count < ofOne; count++) {
      if (ofOne % count == 0) {
        parts.add(with(count));
      }
    }
    int nodes = devices / ofOne;
    for (int count = 1; count <= nodes; count++) {
      if (nodes % count == 0 || Integer.bitCount(count) == 1) {
        parts.add(with(count * ofOne));
      }
    }
    return parts;
  }

  /** How a user asks for {@code others} devices: as {@code --cluster}, or in the cluster's file. */
  String option(int others) {
    return node.equals(Node.KNOWN.get(node.name()))
        ? with(others).toString()
        : Words.of("%d devices (\"cards\": %<d in the file of the cluster)", others);
  }

  @Override
  public String toString() {
    return node.name() + ":" + devices;
  }
}

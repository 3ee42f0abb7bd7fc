package panamoe.plan;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.tensor.DType;

/**
 * A machine with {@code devices} equal devices.
 *
 * @param memory bytes per device
 * @param bandwidth memory bandwidth per device, bytes/s
 * @param flops peak per device
 * @param near links between devices of one node
 * @param far links between nodes
 * @param copy cost of a copy in device memory, with which an exchange reorders rows
 */
public record Node(
    String name,
    @JsonProperty("cards") int devices,
    Constant memory,
    Constant bandwidth,
    Flops flops,
    Link near,
    Link far,
    Copy copy) {
  public static final Map<String, Node> KNOWN = known();

  private static final int MOST_DEVICES = 1024;

  /** FLOP/s of matrix products. */
  public record Flops(Constant float32, Constant bfloat16) {
    public Flops {
      Quantity.FLOPS.require("float32", float32);
      Quantity.FLOPS.require("bfloat16", bfloat16);
    }

    Constant of(DType dtype) {
      return switch (dtype) {
        case FLOAT32 -> float32;
        case BFLOAT16 -> bfloat16;
        default -> throw new IllegalArgumentException("no peak FLOP/s is known for " + dtype);
      };
    }
  }

  /**
   * The cost of a kernel that copies rows.
   *
   * @param launch seconds per launch
   * @param bandwidth bytes read plus bytes written per second
   */
  public record Copy(Constant launch, Constant bandwidth) {
    public Copy {
      Quantity.SECONDS.require("launch", launch);
      Quantity.BYTES_PER_SECOND.require("bandwidth", bandwidth);
    }

    double seconds(double bytes) {
      return launch.value() + 2 * bytes / bandwidth.value();
    }
  }

  public Node {
    Constant.requirePrintable("a node's name", name);
    Require.between("a node's number of devices", devices, 1, MOST_DEVICES);
    Require.present("flops", flops);
    Require.present("near", near);
    Require.present("far", far);
    Require.present("copy", copy);
    Quantity.BYTES.require("memory", memory);
    Quantity.BYTES_PER_SECOND.require("bandwidth", bandwidth);
  }

  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("memory", memory);
    all.put("bandwidth", bandwidth);
    all.put("flops_float32", flops.float32);
    all.put("flops_bfloat16", flops.bfloat16);
    all.put("near_base", near.base());
    all.put("near_per_peer", near.perPeer());
    all.put("near_bandwidth", near.bandwidth());
    all.put("far_base", far.base());
    all.put("far_per_peer", far.perPeer());
    all.put("far_bandwidth", far.bandwidth());
    all.put("copy_launch", copy.launch);
    all.put("copy_bandwidth", copy.bandwidth);
    return all;
  }

  private record Nodes(Map<String, Node> nodes) {}

  private static Map<String, Node> known() {
    try (InputStream stream = Node.class.getResourceAsStream("nodes.json")) {
      String text = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
      Map<String, Node> known = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
      known.putAll(ConfigJson.parse(text, Nodes.class, "nodes.json").nodes);
      return known;
    } catch (IOException e) {
      throw new UncheckedIOException("the program's own file nodes.json cannot be read", e);
    }
  }
}

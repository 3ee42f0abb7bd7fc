package panamoe.edit;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;

/** Names of a layer's experts and gate in a checkpoint. */
final class LayerNames {
  /** Groups: layer, expert, tensor of the expert. */
  private static final Pattern EXPERT =
      Pattern.compile("layers\\.(\\d+)\\.moe\\.experts\\.(\\d+)\\.(.+)");

  /**
   * Groups: layer, tensor of the gate. Other tensors, of a cosine router, have no rows of experts.
   */
  private static final Pattern GATE =
      Pattern.compile(
          "layers\\.(\\d+)\\.moe\\.gate\\.((?:vectors\\.)?weight|bias|correction|factors)");

  private LayerNames() {}

  /**
   * A tensor of an expert.
   *
   * @param tensor such as {@code up.weight}
   */
  record ExpertTensor(int layer, int expert, String tensor) {}

  /** A tensor of a gate, with a row for each expert. */
  record GateTensor(int layer, String tensor) {}

  /** Parses the name of an expert's tensor; null for other tensors. */
  static ExpertTensor expert(String name) {
    Matcher parts = EXPERT.matcher(name);
    return parts.matches()
        ? new ExpertTensor(number(parts, 1), number(parts, 2), parts.group(3))
        : null;
  }

  /** Parses a name; null for other tensors. */
  static GateTensor gate(String name) {
    Matcher parts = GATE.matcher(name);
    return parts.matches() ? new GateTensor(number(parts, 1), parts.group(2)) : null;
  }

  static String expert(int layer, int expert, String tensor) {
    return "layers." + layer + ".moe.experts." + expert + "." + tensor;
  }

  /** The router's matrix, with a row for each expert. */
  static String router(int layer, MoeConfig moe) {
    String part = moe.gate().cosine() == null ? "" : "vectors.";
    return "layers." + layer + ".moe.gate." + part + "weight";
  }

  static String mlp(int layer, String tensor) {
    return "layers." + layer + ".mlp." + tensor;
  }

  /** Refuses a layer that the model does not have. */
  static void requireLayer(ModelConfig model, int layer, String verb) {
    if (layer < 0 || layer >= model.layers()) {
      throw Require.refusal(
          "layer %s cannot %s: the model's layers are 0 to %s", layer, verb, model.layers() - 1);
    }
  }

  private static int number(Matcher parts, int group) {
    return Integer.parseInt(parts.group(group));
  }
}

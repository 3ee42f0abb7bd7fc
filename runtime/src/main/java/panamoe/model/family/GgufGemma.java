package panamoe.model.family;

import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The part of {@link GgufKeys} about Gemma, whose layers are of two kinds.
 *
 * @param keys of {@code config.json}
 */
record GgufGemma(ArchitectureKeys file, ObjectNode keys) {
  /** A divisor of frequencies from which on a pair does not rotate. */
  static final double STILL = 1e30;

  /**
   * Layers with a window and without.
   *
   * @param period every such layer has no window, where the file does not say
   * @param largest layers of the family's largest model, whose scores have a scale of their own
   */
  void putWindows(int period, int largest) {
    int layers = file.count("block_count");
    int every = file.count("attention.sliding_window_pattern", period);
    ArrayNode types = keys.putArray("layer_types");
    for (int layer = 1; layer <= layers; layer++) {
      types.add(layer % every == 0 ? Decoder.FULL : Decoder.WINDOW);
    }
    int shared = Math.max(1, file.count("embedding_length") / file.count("attention.head_count"));
    keys.put("sliding_window", file.count("attention.sliding_window"))
        .put(
            "query_pre_attn_scalar",
            layers == largest ? shared : file.count("attention.key_length", shared));
    putSoftCap();
  }

  private void putSoftCap() {
    if (file.has("final_logit_softcapping")) {
      keys.put("final_logit_softcapping", file.number("final_logit_softcapping"));
    }
  }

  /** Gemma 4, where layers of a kind have heads and positions of their own. */
  void putKinds(RopeFactors factors) {
    file.only("attention.shared_kv_layers", 0);
    file.only("embedding_length_per_layer_input", 0);
    int near = file.count("attention.key_length_swa");
    int far = file.count("attention.key_length");
    file.only("attention.value_length_swa", near);
    file.only("attention.value_length", far);
    file.only("rope.dimension_count_swa", near);
    file.only("rope.dimension_count", far);
    keys.put("head_dim", near)
        .put("global_head_dim", far)
        .put("hidden_size_per_layer_input", 0)
        .put("sliding_window", file.count("attention.sliding_window"));
    putLayers();
    putPositions(factors.longDivisors());
    putSoftCap();
  }

  private void putLayers() {
    int layers = file.count("block_count");
    boolean[] windowed = file.flags("attention.sliding_window_pattern", layers);
    int[] heads = file.counts("attention.head_count_kv", layers);
    ArrayNode types = keys.putArray("layer_types");
    for (int layer = 0; layer < layers; layer++) {
      types.add(windowed[layer] ? Decoder.WINDOW : Decoder.FULL);
      String key = windowed[layer] ? "num_key_value_heads" : "num_global_key_value_heads";
      if (keys.path(key).asInt(heads[layer]) != heads[layer]) {
        throw file.bad(
            "attention.head_count_kv is another in layer " + layer + " than before it in its kind");
      }
      keys.put(key, heads[layer]);
      if (!windowed[layer]) {
        boolean stored = file.tensors.containsKey("blk." + layer + ".attn_v.weight");
        keys.put("attention_k_eq_v", !stored);
      }
    }
  }

  /** Layers without a window rotate only their fastest pairs. */
  private void putPositions(List<Double> divisors) {
    ObjectNode rotary = keys.putObject("rope_parameters");
    rotary
        .putObject(Decoder.WINDOW)
        .put("rope_type", "default")
        .put("rope_theta", file.number("rope.freq_base_swa", 10_000));
    long rotated = divisors.stream().takeWhile(divisor -> divisor == 1).count();
    if (rotated == 0 || divisors.stream().skip(rotated).anyMatch(divisor -> divisor < STILL)) {
      throw file.bad(
          "rope.freq_base is for the pairs with a one in rope_freqs.weight, expected ones and then"
              + " numbers from 1e30 on");
    }
    rotary
        .putObject(Decoder.FULL)
        .put("rope_type", "proportional")
        .put("partial_rotary_factor", (double) rotated / divisors.size())
        .put("rope_theta", file.number("rope.freq_base"));
  }
}

package panamoe.harness.conformance.deepspeed;

import java.util.ArrayList;
import java.util.List;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.param.Parameter;
import panamoe.param.ParameterStore;

/**
 * A parameter of a {@code MoeLayer} beside the weights of DeepSpeed's {@code MoE} that make it up:
 * one, or one of each expert that this rank holds.
 */
record DeepSpeedWeights(Parameter parameter, List<String> names) {
  static final String GATE = "deepspeed_moe.gate.wg.weight";
  private static final String EXPERT = "deepspeed_moe.experts.deepspeed_experts.%d.";

  /** All parameters of a layer called {@code moe}; the gate's weight is the first. */
  static List<DeepSpeedWeights> of(ParameterStore store) {
    List<DeepSpeedWeights> weights = new ArrayList<>();
    for (Parameter parameter : store.parameters()) {
      String peer = peerName(parameter.name().substring("moe.".length()));
      List<String> names = new ArrayList<>();
      for (int i = 0; i < parameter.matrices(); i++) {
        names.add(peer.replace("%d", Integer.toString(parameter.firstMatrix() + i)));
      }
      weights.add(new DeepSpeedWeights(parameter, names));
    }
    return weights;
  }

  private static String peerName(String name) {
    return switch (name) {
      case "gate.weight" -> GATE;
      case "experts.up.weight" -> EXPERT + "fc1.weight";
      case "experts.up.bias" -> EXPERT + "fc1.bias";
      case "experts.down.weight" -> EXPERT + "fc2.weight";
      case "experts.down.bias" -> EXPERT + "fc2.bias";
      case "mlp.up.weight" -> "mlp.fc1.weight";
      case "mlp.up.bias" -> "mlp.fc1.bias";
      case "mlp.down.weight" -> "mlp.fc2.weight";
      case "mlp.down.bias" -> "mlp.fc2.bias";
      case "coefficient.weight", "coefficient.bias" -> name;
      default ->
          throw new IllegalStateException("no recorded weight is known for parameter " + name);
    };
  }

  void load(GoldenFile golden) {
    parameter.master().set(read(golden, "w."));
  }

  /** The recorded tensors one after the other. */
  float[] read(GoldenFile golden, String prefix) {
    return golden.stacked(names.stream().map(name -> prefix + name).toList());
  }
}

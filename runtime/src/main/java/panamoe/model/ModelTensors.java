package panamoe.model;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.checkpoint.ExpertTensors;
import panamoe.nn.Parameter;
import panamoe.tensor.Tensor;

/** A model's tensors under the names that a checkpoint gives them: one tensor for each expert. */
public final class ModelTensors {
  private static final String EXPERTS = ".experts.";

  private ModelTensors() {}

  /** The FLOAT32 master weights. Make the map once: views take a little memory. */
  public static Map<String, Tensor> masters(LanguageModel model) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      tensors.putAll(named(parameter, "", parameter.master()));
    }
    return tensors;
  }

  /** A tensor of the parameter's shape under the parameter's names, each after {@code prefix}. */
  public static Map<String, Tensor> named(Parameter parameter, String prefix, Tensor tensor) {
    String name = prefix + parameter.name();
    return parameter.part() == Parameter.Part.EXPERT
        ? ExpertTensors.slices(name.replace(EXPERTS, EXPERTS + "*."), tensor, parameter.firstMatrix())
        : Map.of(name, tensor);
  }
}

package panamoe.model;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.checkpoint.ExpertTensors;
import panamoe.config.ModelConfig;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * A model's tensors under the names that a checkpoint gives them: one tensor for each expert,
 * whoever holds it.
 */
public final class ModelTensors {
  private static final String EXPERTS = ".experts.";

  private ModelTensors() {}

  /**
   * The FLOAT32 master weights of a model that one rank holds. Make the map once: views take a
   * little memory.
   */
  public static Map<String, Tensor> masters(LanguageModel model) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      tensors.putAll(named(parameter, "", parameter.master()));
    }
    return tensors;
  }

  /**
   * A tensor that holds what this rank has of a parameter, slices put together, under the
   * parameter's names.
   *
   * @param prefix before each name
   */
  public static Map<String, Tensor> named(Parameter parameter, String prefix, Tensor tensor) {
    String name = prefix + parameter.name();
    return parameter.part() == Parameter.Part.EXPERT
        ? ExpertTensors.slices(
            name.replace(EXPERTS, EXPERTS + "*."), tensor, parameter.firstMatrix())
        : Map.of(name, tensor);
  }

  /** The shapes of all tensors of a model by name, over all ranks. */
  public static Map<String, long[]> shapes(ModelConfig config) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
          String name = parameter.name();
          shapes.put(
              parameter.part() == Parameter.Part.EXPERT
                  ? name.replace(EXPERTS, EXPERTS + matrix + ".")
                  : name,
              parameter.matrixShape());
        }
      }
    }
    return shapes;
  }
}

package panamoe.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.ExpertTensors;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.param.Parameter;
import panamoe.param.Parameter.Role;
import panamoe.param.ParameterStore;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/** A model's tensors by their names in a checkpoint, which has one tensor for each expert. */
public final class ModelTensors {
  private static final String EXPERTS = ".experts.";

  private ModelTensors() {}

  /**
   * A matrix that quantization rounds.
   *
   * @param name in a checkpoint
   * @param parameter that holds it; one of experts stacks those of all the layer's experts
   * @param layer -1 for the embedding and the head
   * @param expert -1 outside of experts
   * @param columns of a row
   */
  public record QuantizedMatrix(
      String name, String parameter, int layer, int expert, long rows, long columns) {}

  /**
   * The matrices of a decoder that quantization rounds, over all ranks: all but stacks of heads'
   * matrices.
   */
  public static List<QuantizedMatrix> quantizedMatrices(ModelConfig config) {
    List<QuantizedMatrix> matrices = new ArrayList<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        boolean rounded = WeightTypes.mayBeBlocks(parameter) && parameter.matrixShape().length == 2;
        for (int i = 0; rounded && i < parameter.matrices(); i++) {
          String name = parameter.name();
          long[] shape = parameter.matrixShape();
          int layer = name.startsWith("layers.") ? Integer.parseInt(name.split("\\.")[1]) : -1;
          int expert = WeightTypes.isExpert(parameter) ? i : -1;
          matrices.add(
              new QuantizedMatrix(
                  parameter.tensorName(i), name, layer, expert, shape[0], shape[1]));
        }
      }
    }
    return matrices;
  }

  /** The FLOAT32 master weights of a model on one rank. Make the map once: views take memory. */
  public static Map<String, Tensor> masters(LanguageModel model) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      tensors.putAll(named(parameter, "", parameter.master()));
    }
    return tensors;
  }

  /**
   * The targets of a checkpoint's tensors on this rank, in parameters that were allocated for
   * inference: each expert goes to its part of the stack. Make the map once: views take memory.
   *
   * @param backend that the parameters were allocated on
   */
  public static Map<String, LoadTarget> destinations(ParameterStore store, Backend backend) {
    Map<String, LoadTarget> destinations = new LinkedHashMap<>();
    for (Parameter parameter : store.parameters()) {
      if (parameter.value() == null) {
        continue; // read on demand
      }
      Tensor value = parameter.value();
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        Tensor target =
            value.packed() && parameter.part() == Parameter.Part.EXPERT
                ? backend.packedMatrix(value, matrix)
                : parameter.matrix(value, matrix);
        destinations.put(
            parameter.tensorName(parameter.expert(matrix)), destination(parameter, target));
      }
    }
    return destinations;
  }

  /**
   * The targets of a checkpoint's tensors on this rank: the FLOAT32 masters of parameters that are
   * trained.
   */
  public static Map<String, LoadTarget> masterDestinations(ParameterStore store) {
    Map<String, LoadTarget> destinations = new LinkedHashMap<>();
    for (Parameter parameter : store.parameters()) {
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        destinations.put(
            parameter.tensorName(parameter.expert(matrix)),
            destination(parameter, parameter.matrix(parameter.master(), matrix)));
      }
    }
    return destinations;
  }

  /**
   * The target of an expert's tensor from a stack that is not in memory.
   *
   * @param matrix index in this rank's stack
   * @param into [N, K], packed, or this rank's slice of it
   */
  public static Map<String, LoadTarget> expert(Parameter stack, int matrix, Tensor into) {
    return Map.of(stack.tensorName(stack.expert(matrix)), destination(stack, into));
  }

  private static LoadTarget destination(Parameter parameter, Tensor target) {
    Slice slice = parameter.slice();
    LoadTarget.Share share =
        slice.whole()
            ? LoadTarget.Share.WHOLE
            : new LoadTarget.Share(
                slice.axis(), slice.blocks(), slice.ranks().rank(), slice.ranks().size());
    return new LoadTarget(DType.FLOAT32, parameter.matrixShape(), share, target);
  }

  /**
   * Adds a tensor with this rank's part of a parameter, slices joined, under the parameter's names.
   *
   * @param prefix before each name
   */
  public static Map<String, Tensor> named(Parameter parameter, String prefix, Tensor tensor) {
    String name = prefix + parameter.name();
    return parameter.part() == Parameter.Part.EXPERT
        ? ExpertTensors.slices(name.replace(EXPERTS, EXPERTS + "*."), tensor, parameter.expert(0))
        : Map.of(name, tensor);
  }

  /** The shapes of all tensors of a model by name, over all ranks. */
  public static Map<String, long[]> shapes(ModelConfig config) {
    return shapes(config, null);
  }

  /**
   * The shapes of the tensors that training saves.
   *
   * @param adapters that are trained alone; null: the whole model is
   */
  public static Map<String, long[]> shapes(ModelConfig config, AdapterConfig adapters) {
    try (LanguageModel whole = new LanguageModel(config).adapted(adapters)) {
      return shapes(
          whole.parameters().parameters().stream()
              .filter(each -> adapters == null || each.role() == Role.ADAPTER)
              .toList());
    }
  }

  /** The shapes of all tensors of whole parameters by name. */
  public static Map<String, long[]> shapes(ParameterStore whole) {
    return shapes(whole.parameters());
  }

  private static Map<String, long[]> shapes(List<Parameter> whole) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    for (Parameter parameter : whole) {
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        shapes.put(parameter.tensorName(matrix), parameter.matrixShape());
      }
    }
    return shapes;
  }

  /**
   * The dtypes that keep the blocks of a file.
   *
   * @param compute of all else
   * @param blocks by tensor name, over all ranks: of those stored in blocks their dtype, or FLOAT32
   *     if they are decoded
   */
  public static WeightTypes asStored(ModelConfig config, DType compute, Map<String, DType> blocks) {
    Map<String, DType> stored = new HashMap<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        if (WeightTypes.mayBeBlocks(parameter)) {
          for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
            String name = parameter.tensorName(matrix);
            DType held = blocks.getOrDefault(name, DType.FLOAT32);
            if (blocks.containsKey(name) || blocks.isEmpty()) {
              stored.put(name, held.isBlocks() ? held : compute);
            }
          }
        }
      }
    }
    return new WeightTypes(compute, compute, stored, false);
  }
}

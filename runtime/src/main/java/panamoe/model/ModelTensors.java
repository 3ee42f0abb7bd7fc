package panamoe.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.checkpoint.ExpertTensors;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.ModelConfig;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A model's tensors under the names that a checkpoint gives them: one tensor for each expert,
 * whoever holds it.
 */
public final class ModelTensors {
  private static final String EXPERTS = ".experts.";

  private ModelTensors() {}

  /**
   * A matrix of one expert.
   *
   * @param name in a checkpoint
   * @param parameter that stacks the matrices of all the layer's experts
   * @param columns of a row
   */
  public record ExpertMatrix(
      String name, String parameter, int layer, int expert, long rows, long columns) {}

  /** Every expert's matrices in a decoder, over all ranks. */
  public static List<ExpertMatrix> expertMatrices(ModelConfig config) {
    List<ExpertMatrix> matrices = new ArrayList<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        boolean expert = parameter.name().startsWith("layers.") && WeightTypes.isExpert(parameter);
        for (int i = 0; expert && i < parameter.matrices(); i++) {
          long[] shape = parameter.matrixShape();
          int layer = Integer.parseInt(parameter.name().split("\\.")[1]);
          matrices.add(
              new ExpertMatrix(name(parameter, i), parameter.name(), layer, i, shape[0], shape[1]));
        }
      }
    }
    return matrices;
  }

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
   * Where a checkpoint's tensors go in what this rank holds of a model that was allocated for
   * inference: each expert to its part of the stack, the embedding of a tied head to both of its
   * weights. Make the map once: views take a little memory.
   *
   * @param backend that the model was allocated on
   */
  public static Map<String, LoadTarget> destinations(LanguageModel model, Backend backend) {
    Map<String, LoadTarget> destinations = new LinkedHashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      if (parameter.value() == null) {
        continue; // it is read when it is needed
      }
      boolean tied = model.config().head().tied() && parameter == model.head().matrix();
      Tensor value = parameter.value();
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        Tensor target =
            value.packed() && parameter.part() == Parameter.Part.EXPERT
                ? backend.packedMatrix(value, matrix)
                : parameter.matrix(value, matrix);
        destinations.put(
            name(parameter, parameter.expert(matrix)),
            destination(
                parameter, tied ? List.of(target, model.head().weight()) : List.of(target)));
      }
    }
    return destinations;
  }

  /**
   * Where a checkpoint's tensors go in the FLOAT32 masters of what this rank holds of a model that
   * trains.
   */
  public static Map<String, LoadTarget> masterDestinations(LanguageModel model) {
    Map<String, LoadTarget> destinations = new LinkedHashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        destinations.put(
            name(parameter, parameter.expert(matrix)),
            destination(parameter, List.of(parameter.matrix(parameter.master(), matrix))));
      }
    }
    return destinations;
  }

  /**
   * Where the tensor of one expert of a stack goes that is not in memory.
   *
   * @param matrix which of this rank's
   * @param into [N, K], packed, or this rank's slice of it
   */
  public static Map<String, LoadTarget> expert(Parameter stack, int matrix, Tensor into) {
    return Map.of(name(stack, stack.expert(matrix)), destination(stack, List.of(into)));
  }

  private static LoadTarget destination(Parameter parameter, List<Tensor> targets) {
    Slice slice = parameter.slice();
    LoadTarget.Share share =
        slice.whole()
            ? LoadTarget.Share.WHOLE
            : new LoadTarget.Share(
                slice.axis(), slice.blocks(), slice.ranks().rank(), slice.ranks().size());
    return new LoadTarget(DType.FLOAT32, parameter.matrixShape(), share, targets);
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
        ? ExpertTensors.slices(name.replace(EXPERTS, EXPERTS + "*."), tensor, parameter.expert(0))
        : Map.of(name, tensor);
  }

  /** The shapes of all tensors of a model by name, over all ranks. */
  public static Map<String, long[]> shapes(ModelConfig config) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
          shapes.put(name(parameter, matrix), parameter.matrixShape());
        }
      }
    }
    return shapes;
  }

  /**
   * Matrices in their own blocks. A layer whose experts are in blocks of several dtypes is held in
   * {@link DType#INT8_BLOCKS}; one with experts in none, in {@code compute}.
   *
   * @param compute of all else
   * @param blocks of tensors by name, over all ranks; without those that are in none
   */
  public static WeightTypes asStored(ModelConfig config, DType compute, Map<String, DType> blocks) {
    Map<String, DType> stored = new HashMap<>();
    try (LanguageModel whole = new LanguageModel(config)) {
      for (Parameter parameter : whole.parameters().parameters()) {
        if (WeightTypes.mayBeBlocks(parameter)) {
          List<DType> found =
              IntStream.range(0, parameter.matrices())
                  .mapToObj(matrix -> blocks.getOrDefault(name(parameter, matrix), compute))
                  .distinct()
                  .toList();
          DType mixed = found.stream().allMatch(DType::isBlocks) ? DType.INT8_BLOCKS : compute;
          stored.put(parameter.name(), found.size() == 1 ? found.getFirst() : mixed);
        }
      }
    }
    return new WeightTypes(compute, compute, stored, false);
  }

  private static String name(Parameter parameter, int matrix) {
    return parameter.part() == Parameter.Part.EXPERT
        ? parameter.name().replace(EXPERTS, EXPERTS + matrix + ".")
        : parameter.name();
  }
}

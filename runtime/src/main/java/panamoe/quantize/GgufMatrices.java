package panamoe.quantize;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The matrices of a model in the tensors of its GGUF file. Found by exporting a model whose
 * elements are the numbers of their matrices.
 */
final class GgufMatrices {
  /** Every element is a number: 1 for the first matrix that quantization rounds, 0 for others. */
  private record Numbered(long rows, long columns, int number) implements RowSource {
    @Override
    public DType dtype() {
      return DType.FLOAT32;
    }

    @Override
    public void read(long row, long rows, long column, long columns, MemorySegment into) {
      for (long i = 0; i < rows * columns; i++) {
        into.setAtIndex(ValueLayout.JAVA_FLOAT, i, number);
      }
    }
  }

  private GgufMatrices() {}

  /**
   * For each tensor of two or more dimensions, its parts: the experts of a stack, or one. A part
   * lists the matrices whose rows it has; none if they are not rounded.
   *
   * @throws CheckpointException if no GGUF file has such a model
   */
  static Map<String, List<List<QuantizedMatrix>>> of(ModelFolder folder) {
    List<QuantizedMatrix> matrices = ModelTensors.quantizedMatrices(folder.config());
    Map<String, Integer> numbers = new HashMap<>();
    matrices.forEach(matrix -> numbers.put(matrix.name(), numbers.size() + 1));
    Map<String, RowSource> rows = new LinkedHashMap<>();
    ModelTensors.shapes(folder.config())
        .forEach(
            (name, shape) -> {
              long columns = Tensor.count(shape) / shape[0];
              rows.put(name, new Numbered(shape[0], columns, numbers.getOrDefault(name, 0)));
            });
    Map<String, List<List<QuantizedMatrix>>> found = new LinkedHashMap<>();
    tensors(folder, rows)
        .forEach(
            (name, tensor) -> {
              if (tensor.shape().length > 1) {
                long parts = tensor.shape().length == 3 ? tensor.shape()[0] : 1;
                found.put(name, parts(tensor.rows(), parts, matrices));
              }
            });
    return found;
  }

  private static Map<String, RowTensor> tensors(ModelFolder folder, Map<String, RowSource> rows) {
    try {
      return folder.exported(rows).ggufTensors();
    } catch (CheckpointException e) {
      throw new CheckpointException(
          "an importance matrix has the names of a GGUF file, which no model like this has: "
              + e.getMessage(),
          e);
    }
  }

  private static List<List<QuantizedMatrix>> parts(
      RowSource rows, long count, List<QuantizedMatrix> matrices) {
    List<List<QuantizedMatrix>> parts = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      long part = rows.rows() / count;
      MemorySegment numbers = arena.allocate(ValueLayout.JAVA_FLOAT, part);
      for (long first = 0; first < rows.rows(); first += part) {
        rows.read(first, part, 0, 1, numbers);
        Set<Integer> distinct = new LinkedHashSet<>();
        for (long i = 0; i < part; i++) {
          distinct.add((int) numbers.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        }
        distinct.remove(0);
        parts.add(distinct.stream().map(number -> matrices.get(number - 1)).toList());
      }
    }
    return parts;
  }
}

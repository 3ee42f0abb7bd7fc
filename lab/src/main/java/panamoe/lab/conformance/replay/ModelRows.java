package panamoe.lab.conformance.replay;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.InMemory;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/** A model's matrix, copied to the host when it is read. */
public record ModelRows(
    Parameter parameter, int matrix, DType dtype, Function<Parameter, Tensor> part)
    implements RowSource {
  /**
   * All matrices of a model, by checkpoint name.
   *
   * @param dtypes of the parts
   * @param part a parameter's values, or its gradient
   */
  public static Map<String, RowSource> of(
      LanguageModel model, Function<Parameter, DType> dtypes, Function<Parameter, Tensor> part) {
    Map<String, RowSource> rows = new HashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      for (int matrix = 0; matrix < parameter.matrices(); matrix++) {
        String name = parameter.name().replace(".experts.", ".experts." + matrix + ".");
        rows.put(name, new ModelRows(parameter, matrix, dtypes.apply(parameter), part));
      }
    }
    return rows;
  }

  @Override
  public long rows() {
    return parameter.matrixShape()[0];
  }

  @Override
  public long columns() {
    return Tensor.count(parameter.matrixShape()) / rows();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    MemorySegment elements = HostView.elements(parameter.matrix(part.apply(parameter), matrix));
    new InMemory(dtype, rows(), columns(), elements).read(row, rows, column, columns, into);
  }
}

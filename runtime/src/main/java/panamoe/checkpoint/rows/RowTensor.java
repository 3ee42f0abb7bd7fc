package panamoe.checkpoint.rows;

import panamoe.checkpoint.RowSource;
import panamoe.tensor.Tensor;

/**
 * A tensor that is to be stored, with its elements in the order of the rows.
 *
 * @param shape of as many elements as the rows have
 */
public record RowTensor(long[] shape, RowSource rows) {
  public RowTensor {
    if (Tensor.count(shape) != rows.rows() * rows.columns()) {
      throw new IllegalArgumentException(
          rows.rows() + " rows of " + rows.columns() + " do not fill the shape of the tensor");
    }
  }
}

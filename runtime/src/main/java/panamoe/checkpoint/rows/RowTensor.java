package panamoe.checkpoint.rows;

import panamoe.checkpoint.RowSource;
import panamoe.tensor.Tensor;

/**
 * A tensor to be stored, with the elements of rows.
 *
 * @param shape of as many elements as the rows
 */
public record RowTensor(long[] shape, RowSource rows) {
  public RowTensor {
    if (Tensor.count(shape) != rows.rows() * rows.columns()) {
      throw new IllegalArgumentException(
          rows.rows() + " rows of " + rows.columns() + " do not fill the shape of the tensor");
    }
  }
}

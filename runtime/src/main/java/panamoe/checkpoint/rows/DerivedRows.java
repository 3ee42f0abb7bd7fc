package panamoe.checkpoint.rows;

import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/** Rows made of another source; its dtype and size are the defaults. */
interface DerivedRows extends RowSource {
  RowSource of();

  @Override
  default DType dtype() {
    return of().dtype();
  }

  @Override
  default long rows() {
    return of().rows();
  }

  @Override
  default long columns() {
    return of().columns();
  }

  @Override
  default boolean encoded() {
    return of().encoded();
  }
}

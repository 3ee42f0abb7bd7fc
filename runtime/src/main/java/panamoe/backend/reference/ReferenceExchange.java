package panamoe.backend.reference;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.io.Require;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorDevice;

/** Blocks of rows from one arrangement to another: copies, no arithmetic. */
interface ReferenceExchange extends TensorDevice, ReferenceContext {

  @Override
  default void copyBlocks(RowBlocks blocks, Tensor x, Tensor y) {
    launch(
        () -> {
          check(blocks, x, y);
          long bytes = x.size(0) == 0 ? 0 : x.bytes() / x.size(0);
          for (int i = 0; i < blocks.rows().length; i++) {
            MemorySegment.copy(
                x.data(),
                blocks.from()[i] * bytes,
                y.data(),
                blocks.to()[i] * bytes,
                blocks.rows()[i] * bytes);
          }
        });
  }

  private static void check(RowBlocks blocks, Tensor x, Tensor y) {
    if (x.dtype() != y.dtype()
        || x.rank() == 0
        || x.rank() != y.rank()
        || !Arrays.equals(x.shape(), 1, x.rank(), y.shape(), 1, y.rank())) {
      throw new IllegalArgumentException(
          "x is " + x + " but y is " + y + ", expected rows of one dtype and one shape");
    }
    Check.disjoint("x", x, "y", y);
    for (int i = 0; i < blocks.rows().length; i++) {
      if (blocks.rows()[i] < 0) {
        throw new IllegalArgumentException(
            "rows[" + i + "] is " + blocks.rows()[i] + ", expected 0 or more");
      }
      checkRows("from", i, blocks.from()[i], blocks.rows()[i], "x", x.size(0));
      checkRows("to", i, blocks.to()[i], blocks.rows()[i], "y", y.size(0));
      for (int j = 0; j < i; j++) {
        checkApart(blocks, j, i);
      }
    }
  }

  private static void checkRows(
      String start, int i, long begin, long rows, String name, long most) {
    if (begin < 0 || begin > most || rows > most - begin) {
      throw Require.refusal(
          "%s[%d] is %d and rows[%d] is %d, but %s has %d rows",
          start, i, begin, i, rows, name, most);
    }
  }

  private static void checkApart(RowBlocks blocks, int j, int i) {
    long begin = Math.max(blocks.to()[i], blocks.to()[j]);
    long end = Math.min(blocks.to()[i] + blocks.rows()[i], blocks.to()[j] + blocks.rows()[j]);
    if (begin < end) {
      throw new IllegalArgumentException(
          "blocks " + j + " and " + i + " share row " + begin + " of y");
    }
  }
}

package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertRefused;

import java.util.stream.IntStream;
import panamoe.tensor.DType;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class ExchangeContractTest {
  private static long[] numbers(long... values) {
    return values;
  }

  @EveryBackend
  void copiesBlocksAndLeavesTheOtherRows(Backend backend) {
    RowBlocks blocks = new RowBlocks(numbers(4, 0, 2, 3), numbers(0, 5, 4, 2), numbers(2, 2, 0, 1));
    for (DType dtype : Sample.ELEMENTS) {
      for (int width : new int[] {1, 3, 16, 70}) {
        try (Sample sample = new Sample(backend, 1)) {
          Tensor x = sample.scope().allocate(dtype, 6, width);
          Tensor y = sample.scope().allocate(dtype, 8, width);
          for (int i = 0; i < 6 * width; i++) {
            x.setFloat(i, i % 100);
          }
          for (int i = 0; i < 8 * width; i++) {
            y.setFloat(i, 101);
          }
          backend.copyBlocks(blocks, x, y);
          int[] source = {4, 5, 3, -1, -1, 0, 1, -1};
          for (int row = 0; row < 8; row++) {
            for (int m = 0; m < width; m++) {
              float expected = source[row] < 0 ? 101 : (source[row] * width + m) % 100;
              assertEquals(expected, y.getFloat((long) row * width + m), dtype + ", row " + row);
            }
          }
        }
      }
    }
  }

  /** More blocks than a call of the C ABI takes, there and back. */
  @EveryBackend
  void theInverseCopiesBack(Backend backend) {
    int count = 300;
    long[] rows = IntStream.range(0, count).mapToLong(i -> i % 3).toArray();
    long[] from = new long[count];
    long[] to = new long[count];
    int row = 0;
    for (int i = 0; i < count; i++) {
      from[i] = row;
      row += i % 3;
    }
    int end = row;
    for (int i = 0; i < count; i++) {
      end -= i % 3;
      to[i] = end;
    }
    RowBlocks reversed = new RowBlocks(from, to, rows);
    try (Sample sample = new Sample(backend, 2)) {
      Tensor x = sample.normal(row, 2, 3);
      Tensor y = sample.unset(row, 2, 3);
      Tensor again = sample.unset(row, 2, 3);
      backend.copyBlocks(reversed, x, y);
      assertEquals(x.getFloat(0), y.getFloat((row - 1) * 6L));
      backend.copyBlocks(reversed.inverse(), y, again);
      assertArrayEquals(x.toFloats(), again.toFloats());
    }
  }

  @EveryBackend
  void noBlocksCopyNothing(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor y = sample.unset(1, 2);
      backend.copyBlocks(new RowBlocks(numbers(), numbers(), numbers()), sample.normal(3, 2), y);
      assertEquals(Float.NaN, y.getFloat(0));
    }
  }

  @EveryBackend
  void refusesBlocksThatLeadOutsideOrMeet(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Tensor x = sample.normal(4, 2);
      Tensor y = sample.unset(5, 2);
      refused(backend, x, y, "from[0] is 3 and rows[0] is 2, but x has 4 rows", 3, 0, 2);
      refused(backend, x, y, "to[0] is 5 and rows[0] is 1, but y has 5 rows", 0, 5, 1);
      refused(backend, x, y, "from[0] is -1", -1, 0, 1);
      refused(backend, x, y, "rows[0] is -1, expected 0 or more", 0, 0, -1);
      refused(backend, x, sample.unset(5, 3), "rows of one", 0, 0, 1);
      refused(backend, x, x, "share memory", 0, 0, 1);
      assertRefused(
          "blocks 0 and 1 share row 1 of y",
          () ->
              backend.copyBlocks(new RowBlocks(numbers(0, 2), numbers(0, 1), numbers(2, 1)), x, y));
      assertEquals(Float.NaN, y.getFloat(0));
    }
  }

  private static void refused(
      Backend backend, Tensor x, Tensor y, String sentence, long from, long to, long rows) {
    RowBlocks one = new RowBlocks(numbers(from), numbers(to), numbers(rows));
    assertRefused(sentence, () -> backend.copyBlocks(one, x, y));
  }
}

package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.parallel.ExpertPlacement;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

class PlaceOrderTest {
  private static final ExpertPlacement TWICE =
      new ExpertPlacement(3, List.of(List.of(0), List.of(1, 2, 0)));

  private static PlaceOrder order(ExpertPlacement placement, int source, int... offsets) {
    try (ReferenceBackend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor held = scope.allocate(DType.INT32, offsets.length);
      for (int i = 0; i < offsets.length; i++) {
        held.setInt(i, offsets[i]);
      }
      return PlaceOrder.of(held, placement, source);
    }
  }

  @Test
  void anExpertsRowsAreSplitOverItsCopies() {
    PlaceOrder order = order(TWICE, 0, 0, 5, 7, 8);
    assertFalse(order.same());
    assertArrayEquals(new long[] {3, 0, 0, 2, 1, 2}, order.counts());
    assertArrayEquals(new long[] {0, 0, 0, 5, 7, 3}, order.toPlaces().from());
  }

  /** If every rank sends one row, no place gets all of them. */
  @Test
  void ranksPreferDifferentCopies() {
    long[] rows = new long[2];
    for (int source = 0; source < 4; source++) {
      long[] counts = order(TWICE, source, 0, 1, 1, 1).counts();
      for (int place = 0; place < 2; place++) {
        rows[place] += LongStream.of(counts).skip(3L * place).limit(3).sum();
      }
    }
    assertArrayEquals(new long[] {2, 2}, rows);
  }

  @Test
  void withoutCopiesNothingIsReordered() {
    ExpertPlacement once = new ExpertPlacement(3, List.of(List.of(0), List.of(1, 2)));
    PlaceOrder order = order(once, 1, 0, 5, 7, 8);
    assertTrue(order.same());
    assertArrayEquals(new long[] {5, 0, 2, 1}, order.counts());
  }
}

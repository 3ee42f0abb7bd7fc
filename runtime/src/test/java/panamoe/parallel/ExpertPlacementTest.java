package panamoe.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpertPlacementTest {
  @Test
  void expertsAreSplitInOrder() {
    assertEquals(
        List.of(List.of(0), List.of(1, 2), List.of(3, 4)), ExpertPlacement.even(5, 3).held());
  }

  @Test
  void theNextCopyIsOfTheHottestAtThePlaceWithFewestRows() {
    long[] rows = {80, 1, 2, 30, 4, 5, 6, 7};
    ExpertPlacement placement = ExpertPlacement.even(8, 4).withCopies(rows, 1);
    // Copies: 0 to rank 2 (9 rows), 0 to rank 3 (13), 3 to rank 0, and 0, at 80 / 3, to rank 1.
    assertEquals(
        List.of(List.of(0, 1, 3), List.of(2, 3, 0), List.of(4, 5, 0), List.of(6, 7, 0)),
        placement.held());
    assertArrayEquals(new int[] {4, 1, 1, 2, 1, 1, 1, 1}, placement.copies());
  }

  @Test
  void expertsWithoutRowsGetNoCopies() {
    ExpertPlacement even = ExpertPlacement.even(4, 2);
    assertEquals(even, even.withCopies(new long[4], 3));
    long[] one = {0, 0, 0, 9};
    assertEquals(List.of(List.of(0, 1, 3), List.of(2, 3)), even.withCopies(one, 3).held());
  }

  @ParameterizedTest
  @CsvSource({"8, 2", "8, 4", "5, 3", "7, 4"})
  void theBusiestPlaceHasFewerRows(int experts, int places) {
    long[] rows = IntStream.range(0, experts).mapToLong(e -> 1000 / (1 + e)).toArray();
    ExpertPlacement even = ExpertPlacement.even(experts, places);
    double before = busiest(even, rows);
    double after = busiest(even.withCopies(rows, 1), rows);
    assertTrue(after < before, after + " of " + before);
  }

  private static double busiest(ExpertPlacement placement, long[] rows) {
    return IntStream.range(0, placement.held().size())
        .mapToDouble(rank -> placement.rowsOf(rank, rows))
        .max()
        .orElseThrow();
  }
}

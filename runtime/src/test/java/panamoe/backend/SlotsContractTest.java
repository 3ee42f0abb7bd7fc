package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertRefused;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.RandomRoutes;
import panamoe.testkit.Sample;

/** An exchange of slots between ranks that are all on one backend. */
class SlotsContractTest {
  private static final int TOKENS = 7;
  private static final int EXPERTS = 8;
  private static final int TOP_K = 2;
  private static final int WIDTH = 6;

  private record Rank(Tensor x, Routes routes, Tensor sent, Tensor arrived, Routes placed) {}

  /** Rows come to their experts, by expert and then source, and return to their tokens. */
  @EveryBackend
  void messagesCarryTheRowsOfEachExpertAndBringThemBack(Backend backend) {
    for (int size : new int[] {1, 2, 3, 8}) {
      try (Sample sample = new Sample(backend, size)) {
        int counts = Math.ceilDiv(EXPERTS, size);
        int rows = TOKENS * Math.min(TOP_K, counts) + Math.ceilDiv(counts, WIDTH);
        List<Rank> ranks = new ArrayList<>();
        for (int rank = 0; rank < size; rank++) {
          Routes routes = RandomRoutes.of(sample, TOKENS, EXPERTS, TOP_K);
          Tensor x = sample.normal(TOKENS, WIDTH);
          Tensor sent = sample.unset((long) size * rows, WIDTH);
          Tensor starts = sample.scope().allocate(DType.INT32, EXPERTS + 1);
          backend.slotStarts(rows, routes.offsets(), words(sent, size), starts);
          backend.dispatchForward(x, routes.at(starts), sent);
          Tensor arrived = sample.unset((long) size * rows, WIDTH);
          ranks.add(new Rank(x, routes, sent, arrived, routes.at(starts)));
        }
        for (int from = 0; from < size; from++) {
          for (int to = 0; to < size; to++) {
            copy(backend, rows, ranks.get(from).sent, to, ranks.get(to).arrived, from);
          }
        }
        for (int rank = 0; rank < size; rank++) {
          compute(backend, sample, ranks, rank, counts, rows);
        }
        for (int from = 0; from < size; from++) {
          for (int to = 0; to < size; to++) {
            copy(backend, rows, ranks.get(from).arrived, to, ranks.get(to).sent, from);
          }
        }
        for (Rank rank : ranks) {
          Tensor expected = sample.unset(TOKENS, WIDTH);
          Tensor grouped = sample.unset(TOKENS * TOP_K, WIDTH);
          backend.dispatchForward(rank.x, rank.routes, grouped);
          backend.combineForward(CombineKernels.Inputs.of(grouped, null), rank.routes, expected);
          Tensor y = sample.unset(TOKENS, WIDTH);
          backend.combineForward(CombineKernels.Inputs.of(rank.sent, null), rank.placed, y);
          assertArrayEquals(expected.toFloats(), y.toFloats());
        }
      }
    }
  }

  /** Groups the rows of a rank's experts, compares them with each source's, and puts them back. */
  private static void compute(
      Backend backend, Sample sample, List<Rank> ranks, int rank, int counts, int rows) {
    int size = ranks.size();
    int first = rank * EXPERTS / size;
    int held = (rank + 1) * EXPERTS / size - first;
    Tensor arrived = ranks.get(rank).arrived;
    Tensor expert = sample.scope().allocate(DType.INT32, arrived.size(0), 1);
    Tensor position = sample.scope().allocate(DType.INT32, arrived.size(0), 1);
    Tensor offsets = sample.scope().allocate(DType.INT32, held + 1);
    backend.slotRoutes(counts, words(arrived, size), expert, position, offsets);
    Tensor grouped = sample.unset((long) size * rows, WIDTH);
    Routes routes = Routes.of(expert, position, offsets);
    backend.dispatchForward(arrived, routes, grouped);
    int row = 0;
    for (int e = 0; e < held; e++) {
      assertEquals(row, offsets.getInt(e));
      for (Rank source : ranks) {
        Tensor own = sample.unset(TOKENS * TOP_K, WIDTH);
        backend.dispatchForward(source.x, source.routes, own);
        int begin = source.routes.offsets().getInt(first + e);
        int end = source.routes.offsets().getInt(first + e + 1);
        assertArrayEquals(
            own.rows(begin, end).toFloats(), grouped.rows(row, row + end - begin).toFloats());
        row += end - begin;
      }
    }
    assertEquals(row, offsets.getInt(held));
    backend.dispatchBackward(grouped, routes, arrived);
  }

  private static Tensor words(Tensor messages, int ranks) {
    return messages.part(0, DType.INT32, ranks, messages.count() / ranks);
  }

  private static void copy(Backend backend, long rows, Tensor x, int from, Tensor y, int to) {
    backend.copyBlocks(
        new RowBlocks(new long[] {from * rows}, new long[] {to * rows}, new long[] {rows}), x, y);
  }

  @EveryBackend
  void refusesRowsWithoutRoom(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor slots = sample.scope().zeros(DType.INT32, 2, 6);
      Tensor starts = sample.scope().allocate(DType.INT32, 5);
      Tensor many = sample.integers(new int[] {0, 1, 2, 3, 5});
      assertRefused(
          "offsets send 3 rows to rank 1, slots has room for 2",
          () -> {
            backend.slotStarts(3, many, slots, starts);
            backend.synchronize();
          });
      int[] words = new int[12];
      Arrays.fill(words, 4, 6, 2);
      slots.set(words);
      Tensor expert = sample.scope().allocate(DType.INT32, 6, 1);
      Tensor position = sample.scope().allocate(DType.INT32, 6, 1);
      Tensor offsets = sample.scope().allocate(DType.INT32, 3);
      assertRefused(
          "slots has 4 rows of rank 0, but room for 2",
          () -> {
            backend.slotRoutes(2, slots, expert, position, offsets);
            backend.synchronize();
          });
    }
  }
}

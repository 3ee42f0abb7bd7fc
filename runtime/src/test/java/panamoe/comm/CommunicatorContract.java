package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.ArenaMemory;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/**
 * The contract of every {@link Communicator}, for all transports. Each rank checks its result
 * against a formula for element i of the block from one rank to another.
 */
public abstract class CommunicatorContract {
  /** The program of one rank. */
  @FunctionalInterface
  public interface Body {
    void run(Communicator world) throws Exception;
  }

  /** Runs the body on {@code ranks} ranks; fails if it fails on any. */
  protected abstract void run(int ranks, Body body);

  /** The memory of the ranks' tensors. */
  protected TensorMemory memory() {
    return new ArenaMemory();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 8})
  void ranksAreNumberedAndTheWorldKnowsItsSize(int ranks) {
    run(
        ranks,
        world -> {
          assertEquals(ranks, world.size());
          assertArrayEquals(
              IntStream.range(0, ranks).asLongStream().toArray(), world.allGather(world.rank()));
          assertTrue(world.node() >= 0);
        });
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      mode = EnumSource.Mode.MATCH_NONE,
      names = "I?Q.*|MXFP.*|FP8.*") // quantized weights, which ranks do not exchange
  void rowsGoToTheirRanksWhateverTheCounts(DType dtype) {
    for (int ranks : new int[] {1, 2, 3, 4, 8}) {
      run(
          ranks,
          world -> {
            Random sameEverywhere = new Random(ranks);
            for (int repeat = 0; repeat < 8; repeat++) {
              long[][] rows = randomRows(sameEverywhere, ranks);
              long[] shape = {0, 1 + sameEverywhere.nextInt(5), 1 + sameEverywhere.nextInt(3)};
              exchange(world, dtype, shape, rows);
            }
          });
    }
  }

  @Test
  void extremeCounts() {
    for (int ranks : new int[] {1, 2, 3, 8}) {
      run(
          ranks,
          world -> {
            long[] shape = {0, 3};
            exchange(world, DType.FLOAT32, shape, new long[ranks][ranks]);
            exchange(world, DType.FLOAT32, shape, matrix(ranks, (from, to) -> from == to ? 5 : 0));
            exchange(
                world,
                DType.FLOAT32,
                shape,
                matrix(ranks, (from, to) -> to == ranks - 1 ? from : 0));
            exchange(world, DType.FLOAT32, shape, matrix(ranks, (from, to) -> from == 0 ? 7 : 0));
            exchange(
                world,
                DType.FLOAT32,
                shape,
                matrix(ranks, (from, to) -> to == (from + 1) % ranks ? 4 : 0));
            exchange(world, DType.FLOAT32, new long[] {0, 1000}, matrix(ranks, (from, to) -> 70));
          });
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 8})
  void numbersGoToTheirRanks(int ranks) {
    run(
        ranks,
        world -> {
          for (int each = 0; each < 4; each++) {
            int n = each;
            long[] send =
                IntStream.range(0, ranks * n)
                    .mapToLong(i -> number(world.rank(), i / n, i % n))
                    .toArray();
            long[] expected =
                IntStream.range(0, ranks * n)
                    .mapToLong(i -> number(i / n, world.rank(), i % n))
                    .toArray();
            assertArrayEquals(expected, world.allToAll(send));
            long[] mine =
                IntStream.range(0, n).mapToLong(i -> number(world.rank(), 0, i)).toArray();
            assertArrayEquals(
                IntStream.range(0, ranks * n).mapToLong(i -> number(i / n, 0, i % n)).toArray(),
                world.allGather(mine));
          }
        });
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void sumsAddInRankOrder(DType dtype) {
    for (int ranks : new int[] {1, 2, 3, 4, 8}) {
      run(
          ranks,
          world -> {
            try (TensorScope scope = TensorScope.confined(memory())) {
              for (int count : new int[] {0, 1, 2, 7, 64, 5000}) {
                Tensor tensor = scope.allocate(dtype, count);
                fill(tensor, world.rank());
                world.allReduce(tensor);
                assertBits(sum(dtype, ranks, 0, count), tensor);
              }
            }
            double sum = 0;
            for (int rank = 0; rank < ranks; rank++) {
              sum += 1.0 / (3 + rank);
            }
            assertEquals(sum, world.allReduce(1.0 / (3 + world.rank())), 0.0);
          });
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16"})
  void aReduceScatterKeepsEachRanksRowsOfTheSum(DType dtype) {
    for (int ranks : new int[] {1, 2, 3, 4, 8}) {
      run(
          ranks,
          world -> {
            Random sameEverywhere = new Random(ranks);
            try (TensorScope scope = TensorScope.confined(memory())) {
              for (int repeat = 0; repeat < 4; repeat++) {
                long[] rows = randomRows(sameEverywhere, ranks)[0];
                Tensor send = scope.allocate(dtype, Arrays.stream(rows).sum(), 3);
                Tensor receive = scope.allocate(dtype, rows[world.rank()], 3);
                fill(send, world.rank());
                world.reduceScatter(send, receive, rows);
                int from = (int) Arrays.stream(rows).limit(world.rank()).sum();
                assertBits(sum(dtype, ranks, 3 * from, (int) receive.count()), receive);
                assertBits(values(dtype, world.rank(), (int) send.count()), send);
              }
            }
          });
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      mode = EnumSource.Mode.MATCH_NONE,
      names = "I?Q.*|MXFP.*|FP8.*") // quantized weights, which ranks do not exchange
  void aGatherPutsTheRowsBehindEachOther(DType dtype) {
    for (int ranks : new int[] {1, 2, 3, 4, 8}) {
      run(
          ranks,
          world -> {
            Random sameEverywhere = new Random(ranks);
            try (TensorScope scope = TensorScope.confined(memory())) {
              for (int repeat = 0; repeat < 4; repeat++) {
                long[] rows = randomRows(sameEverywhere, ranks)[0];
                Tensor send = scope.allocate(dtype, rows[world.rank()], 2);
                Tensor receive = scope.allocate(dtype, Arrays.stream(rows).sum(), 2);
                fill(send, world.rank());
                world.allGather(send, receive, rows);
                int row = 0;
                for (int source = 0; source < ranks; source++) {
                  Tensor part = receive.rows(row, row + rows[source]);
                  assertBits(values(dtype, source, (int) part.count()), part);
                  row += (int) rows[source];
                }
              }
            }
          });
    }
  }

  @Test
  void aBroadcastGivesTheRootsBytes() {
    for (int ranks : new int[] {1, 2, 3, 8}) {
      run(
          ranks,
          world -> {
            for (int root = 0; root < ranks; root++) {
              byte[] bytes = new byte[root * 100];
              new Random(root).nextBytes(bytes);
              assertArrayEquals(bytes, world.broadcast(world.rank() == root ? bytes : null, root));
            }
          });
    }
  }

  @Test
  void aSplitOrdersByKeyThenByRank() {
    run(
        8,
        world -> {
          Communicator half = world.split(world.rank() % 2, -world.rank(), "half");
          assertEquals(4, half.size());
          assertEquals("half", half.name());
          assertEquals(3 - world.rank() / 2, half.rank());
          Communicator same = world.split(0, 0, "same");
          assertEquals(world.rank(), same.rank());
          Communicator quarter = half.split(half.rank() / 2, 0, "quarter");
          long[] members = quarter.allGather(world.rank());
          long first = half.rank() < 2 ? 6 + world.rank() % 2 : 2 + world.rank() % 2;
          assertArrayEquals(new long[] {first, first - 2}, members);
          exchange(
              quarter, DType.FLOAT32, new long[] {0, 4}, matrix(2, (from, to) -> from + 2 * to));
          quarter.close();
          assertEquals(28, world.allReduce((double) world.rank()));
          Communicator alone = half.split(half.rank(), 0, "alone");
          assertArrayEquals(new long[] {world.rank()}, alone.allGather(world.rank()));
        });
  }

  @Test
  void groupsWorkSideBySide() {
    run(
        4,
        world -> {
          Communicator other = world.split(0, 0, "other");
          CompletableFuture<Void> concurrent =
              CompletableFuture.runAsync(
                  () -> exchangeOften(other, 40, 1), work -> Thread.ofPlatform().start(work));
          exchangeOften(world, 40, 2);
          concurrent.join();
        });
  }

  @Test
  void traffic() {
    run(
        4,
        world -> {
          Traffic before = world.traffic();
          exchange(
              world, DType.FLOAT32, new long[] {0, 2}, matrix(4, (from, to) -> to == 3 ? 0 : 5));
          Communicator pair = world.split(world.rank() / 2, 0, "pair");
          pair.allGather(1, 2, 3);
          Traffic after = world.traffic();
          long messages =
              after.nearMessages()
                  + after.farMessages()
                  - before.nearMessages()
                  - before.farMessages();
          long bytes =
              after.nearBytes() + after.farBytes() - before.nearBytes() - before.farBytes();
          int receivers = world.rank() == 3 ? 3 : 2;
          assertEquals(receivers + 1, messages);
          assertEquals(receivers * 5 * 8 + 24, bytes);
          assertEquals(24, pair.traffic().nearBytes() + pair.traffic().farBytes());
        });
  }

  @Test
  void aRankRefusesItsOwnMistakesBeforeItCallsTheOthers() {
    run(
        2,
        world -> {
          try (TensorScope scope = TensorScope.confined(memory())) {
            Tensor floats = scope.zeros(DType.FLOAT32, 4, 2);
            Tensor narrow = scope.zeros(DType.FLOAT32, 4, 1);
            Tensor ints = scope.zeros(DType.INT32, 4, 2);
            long[] two = {2, 2};
            refused("rows of", () -> world.allToAll(floats, two, narrow, two));
            refused("rows of", () -> world.allToAll(floats, two, ints, two));
            refused("add up to 5", () -> world.allToAll(floats, new long[] {2, 3}, floats, two));
            refused("negative", () -> world.allToAll(floats, new long[] {-1, 2}, floats, two));
            refused(
                "3 entries for 2 ranks",
                () -> world.allToAll(floats, two, floats, new long[] {1, 1, 1}));
            refused("only FLOAT32 and BFLOAT16", () -> world.allReduce(ints));
            refused("root 2", () -> world.broadcast(new byte[3], 2));
            refused("3 numbers", () -> world.allToAll(new long[3]));
          }
          world.barrier();
        });
  }

  private static void refused(String words, Runnable call) {
    String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
    assertTrue(message.contains(words), message);
  }

  private void exchangeOften(Communicator group, int times, int seed) {
    Random sameEverywhere = new Random(seed);
    for (int i = 0; i < times; i++) {
      exchange(group, DType.BFLOAT16, new long[] {0, 3}, randomRows(sameEverywhere, group.size()));
      group.barrier();
    }
  }

  /** Runs and checks an all-to-all of {@code rows[from][to]} rows; {@code shape[0]} is ignored. */
  private void exchange(Communicator group, DType dtype, long[] shape, long[][] rows) {
    int me = group.rank();
    long[] sendRows = rows[me];
    long[] receiveRows = Arrays.stream(rows).mapToLong(row -> row[me]).toArray();
    try (TensorScope scope = TensorScope.confined(memory())) {
      Tensor send = scope.zeros(dtype, shape(shape, Arrays.stream(sendRows).sum() + 1));
      Tensor receive = scope.zeros(dtype, shape(shape, Arrays.stream(receiveRows).sum() + 1));
      long row = 0;
      for (int to = 0; to < group.size(); to++) {
        fill(send.rows(row, row += sendRows[to]), 10 * me + to);
      }
      group.allToAll(send, sendRows, receive, receiveRows);
      row = 0;
      for (int from = 0; from < group.size(); from++) {
        Tensor block = receive.rows(row, row += receiveRows[from]);
        assertBits(values(dtype, 10 * from + me, (int) block.count()), block);
      }
      assertBits(new float[(int) (receive.count() / receive.size(0))], receive.rows(row, row + 1));
    }
  }

  private static long[] shape(long[] rowShape, long rows) {
    long[] shape = rowShape.clone();
    shape[0] = rows;
    return shape;
  }

  /** Counts of 0 to 8, every fifth 0. */
  private static long[][] randomRows(Random random, int ranks) {
    return matrix(ranks, (from, to) -> random.nextInt(5) == 0 ? 0 : random.nextInt(9));
  }

  private interface Entry {
    long at(int from, int to);
  }

  private static long[][] matrix(int ranks, Entry entry) {
    long[][] matrix = new long[ranks][ranks];
    for (int from = 0; from < ranks; from++) {
      for (int to = 0; to < ranks; to++) {
        matrix[from][to] = entry.at(from, to);
      }
    }
    return matrix;
  }

  private static long number(int from, int to, int i) {
    return 1_000_000_007L * from + 10_007L * to + i;
  }

  /** A value whose float32 sums depend on the order of adding, representable in {@code dtype}. */
  private static float value(DType dtype, int source, int i) {
    float value = (1 + (31 * source + 17 * i) % 89) * (i % 3 == 0 ? 1e4f : 1.1f) / (1 + source);
    return switch (dtype) {
      case FLOAT32, FLOAT64 -> value;
      case BFLOAT16 -> BFloat16.toFloat(BFloat16.fromFloat(value));
      case INT32 -> 1000 * source + i;
      case UINT8 -> (7 * source + i) & 0xff;
      case INT8 -> (byte) (7 * source + i);
      default -> throw new IllegalArgumentException(dtype + " has no elements of its own");
    };
  }

  private static float[] values(DType dtype, int source, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = value(dtype, source, i);
    }
    return values;
  }

  private static float[] sum(DType dtype, int ranks, int from, int count) {
    float[] sums = new float[count];
    for (int i = 0; i < count; i++) {
      float sum = value(dtype, 0, from + i);
      for (int rank = 1; rank < ranks; rank++) {
        sum += value(dtype, rank, from + i);
      }
      sums[i] = dtype == DType.BFLOAT16 ? BFloat16.toFloat(BFloat16.fromFloat(sum)) : sum;
    }
    return sums;
  }

  private static void fill(Tensor tensor, int source) {
    for (int i = 0; i < tensor.count(); i++) {
      tensor.setFloat(i, value(tensor.dtype(), source, i));
    }
  }

  private static void assertBits(float[] expected, Tensor actual) {
    assertArrayEquals(expected, actual.toFloats());
  }
}

package panamoe.comm.exchange;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.CollectiveCall;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.LinkCost;
import panamoe.comm.SelfCommunicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.Traffic;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.Sample;

/**
 * Every strategy sends every row to its destination, in the order of the flat all-to-all, and back.
 */
class ExchangeTest {
  private static final ArenaMemory MEMORY = new ArenaMemory();

  /** The number of rows from each rank to each, by block. */
  private interface Counts {
    long at(int from, int to, int block);
  }

  private static Stream<int[]> nodeMaps() {
    List<int[]> maps = new ArrayList<>();
    for (int nodes = 1; nodes <= 5; nodes++) {
      for (int local = 1; local <= 5; local++) {
        maps.add(nodeByNode(nodes, local));
      }
    }
    maps.add(nodeByNode(8, 2));
    maps.add(nodeByNode(2, 8));
    for (int[] shape : new int[][] {{2, 3}, {3, 2}, {4, 4}, {8, 2}, {2, 8}, {5, 3}}) {
      maps.add(IntStream.range(0, shape[0] * shape[1]).map(rank -> rank % shape[0]).toArray());
      List<Integer> shuffled =
          new ArrayList<>(IntStream.of(nodeByNode(shape[0], shape[1])).boxed().toList());
      Collections.shuffle(shuffled, new Random(1));
      maps.add(shuffled.stream().mapToInt(Integer::intValue).toArray());
    }
    maps.add(new int[] {0, 0, 0, 1, 1});
    maps.add(new int[] {7, 3, 7, 3});
    return maps.stream();
  }

  private static int[] nodeByNode(int nodes, int local) {
    return IntStream.range(0, nodes * local).map(rank -> rank / local).toArray();
  }

  @ParameterizedTest
  @MethodSource("nodeMaps")
  void rowsArriveAsByTheFlatOneAndReturn(int[] nodes) {
    int p = nodes.length;
    ThreadWorld.of(p)
        .on(nodes)
        .run(
            world -> {
              try (Exchange flat = Exchange.of(world, Strategy.FLAT, new ReferenceBackend());
                  Exchange hierarchical =
                      Exchange.of(world, Strategy.HIERARCHICAL, new ReferenceBackend())) {
                Random sameEverywhere = new Random(p);
                for (int blocks = 0; blocks <= 3; blocks++) {
                  int seed = sameEverywhere.nextInt();
                  List<Counts> all =
                      List.of(
                          (from, to, b) -> random(seed, from, to, b),
                          (from, to, b) -> 0,
                          (from, to, b) -> from == 1 % p && to == p - 1 ? 6 : 0,
                          (from, to, b) -> to == p / 2 ? 3 : 0,
                          (from, to, b) -> from == to ? 4 : 0,
                          (from, to, b) -> 2);
                  for (Counts counts : all) {
                    long[] shape = {0, 1 + sameEverywhere.nextInt(3)};
                    DType dtype =
                        Sample.ELEMENTS.get(sameEverywhere.nextInt(Sample.ELEMENTS.size()));
                    check(
                        world,
                        flat.plan(sends(world, counts, blocks), 4),
                        counts,
                        blocks,
                        dtype,
                        shape);
                    ExchangePlan plan = hierarchical.plan(sends(world, counts, blocks), 4);
                    check(world, plan, counts, blocks, dtype, shape);
                    check(world, plan, counts, blocks, DType.INT32, new long[] {0, 2, 3});
                  }
                }
              }
              return null;
            });
  }

  @ParameterizedTest
  @EnumSource(Strategy.class)
  void aPartTakesItsShareOfEveryBlock(Strategy strategy) {
    int parts = 3;
    Counts counts = (from, to, block) -> random(9, from, to, block);
    ThreadWorld.of(3, 2)
        .run(
            world -> {
              try (Exchange exchange = Exchange.of(world, strategy, new ReferenceBackend())) {
                List<ExchangePlan> plans = exchange.plan(sends(world, counts, 2), 4, parts);
                assertEquals(parts, plans.size());
                for (int i = 0; i < parts; i++) {
                  int part = i;
                  Counts shares =
                      (from, to, block) ->
                          CollectiveCall.share(counts.at(from, to, block), part, parts);
                  check(world, plans.get(part), shares, 2, DType.INT32, new long[] {0, 3});
                }
              }
              return null;
            });
  }

  @Test
  void partsAreCutOutOfBlocksAndJoinedAgain() {
    Parts parts = new Parts(new long[] {5, 0, 1, 3}, 2);
    assertEquals(9, parts.rows());
    try (TensorScope scope = TensorScope.confined(MEMORY)) {
      Tensor blocks = scope.allocate(DType.INT32, 9, 1).set(0, 1, 2, 3, 4, 5, 6, 7, 8);
      Tensor cut = scope.allocate(DType.INT32, 9, 1);
      parts.cut(new ReferenceBackend(), blocks, cut);
      List<Tensor> each = parts.of(cut);
      assertArrayEquals(new int[] {0, 1, 2, 5, 6, 7}, each.get(0).toInts());
      assertArrayEquals(new int[] {3, 4, 8}, each.get(1).toInts());
      Tensor joined = scope.allocate(DType.INT32, 9, 1);
      parts.join(new ReferenceBackend(), cut, joined);
      assertArrayEquals(blocks.toInts(), joined.toInts());
    }
  }

  /** The experts are spread over tensor groups only, or over their sub-groups too. */
  @ParameterizedTest
  @CsvSource({"1,1", "2,1", "2,2", "3,1", "3,3", "4,1", "4,2", "4,4"})
  void tensorRanksSendTheirPartAndSlicesGatherTheirs(int tensorDegree, int expertSlices) {
    int data = 4;
    // Two tensor groups per node.
    int[] nodes =
        IntStream.range(0, data * tensorDegree).map(rank -> rank / (2 * tensorDegree)).toArray();
    ThreadWorld.of(nodes.length)
        .on(nodes)
        .run(
            world -> {
              Communicator tensor =
                  world.split(world.rank() / tensorDegree, world.rank(), "tensor");
              int sub = tensor.rank() / expertSlices;
              Communicator slices = tensor.split(sub, tensor.rank(), "slices");
              List<Communicator> groups =
                  List.of(
                      world.split(tensor.rank(), world.rank(), "expert"),
                      world.split(slices.rank(), sub * nodes.length + world.rank(), "expert"));
              for (Strategy strategy : Strategy.values()) {
                for (Communicator group : groups) {
                  try (Exchange exchange =
                      Exchange.coordinated(
                          group, tensor, slices, strategy, new ReferenceBackend())) {
                    for (int seed = 0; seed < 5; seed++) {
                      int chosen = seed;
                      Counts counts =
                          (from, to, b) -> chosen == 0 ? 0 : random(chosen, from % data, to, b);
                      ExchangePlan plan = exchange.plan(sends(group, counts, 2), 12);
                      checkParts(group, data, tensor, slices, plan, counts);
                    }
                  }
                }
              }
              return null;
            });
  }

  /**
   * Each rank sends (G - 1) + (N - 1) messages instead of p - 1 in both directions, and equally
   * many bytes between nodes.
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 4, 8})
  void twoLevelsSendFewerMessages(int nodes) {
    int local = 16 / nodes;
    ThreadWorld.of(nodes, local)
        .run(
            world -> {
              long[] even = LongStream.generate(() -> 3).limit(16).toArray();
              try (Exchange flat = Exchange.of(world, Strategy.FLAT, new ReferenceBackend());
                  Exchange hierarchical =
                      Exchange.of(world, Strategy.HIERARCHICAL, new ReferenceBackend());
                  TensorScope scope = TensorScope.confined(MEMORY)) {
                Tensor rows = scope.zeros(DType.FLOAT32, 48, 5);
                Tensor arrived = scope.zeros(DType.FLOAT32, 48, 5);
                long pair = 3 * 5 * 4;
                ExchangePlan one = flat.plan(even, 20);
                ExchangePlan two = hierarchical.plan(even, 20);
                Traffic flatRows =
                    new Traffic(local - 1, (local - 1) * pair, 16 - local, (16 - local) * pair);
                Traffic twoRows =
                    new Traffic(
                        local - 1,
                        (local - 1) * nodes * pair,
                        nodes - 1,
                        (nodes - 1) * local * pair);
                assertEquals(flatRows, sent(world, () -> one.forward(rows, arrived)));
                assertEquals(flatRows, sent(world, () -> one.reverse(arrived, rows)));
                assertEquals(twoRows, sent(world, () -> two.forward(rows, arrived)));
                assertEquals(twoRows, sent(world, () -> two.reverse(arrived, rows)));
                assertEquals(flatRows.farBytes(), twoRows.farBytes());
                // This strategy exchanges the counts too: one count and the total for each rank.
                Traffic counts = sent(world, () -> hierarchical.plan(even, 20));
                assertEquals(local - 1 + nodes - 1, counts.nearMessages() + counts.farMessages());
                assertEquals(
                    15,
                    sent(world, () -> flat.plan(even, 20)).farMessages()
                        + sent(world, () -> flat.plan(even, 20)).nearMessages());
              }
              return null;
            });
  }

  /**
   * The formulas of the alpha-beta model for one level and two: p - 1 messages, or (G - 1) near and
   * (N - 1) far. Links within and between nodes move bytes at the same time.
   */
  @ParameterizedTest
  @ValueSource(ints = {64, 1024, 65536})
  void virtualTimeFollowsTheModel(int pairBytes) {
    int nodes = 4;
    int local = 4;
    int p = nodes * local;
    LinkCost near = new LinkCost(3e-6, 1e-6, 1e11);
    LinkCost far = new LinkCost(7e-6, 20e-6, 1e9);
    ThreadWorld.of(nodes, local)
        .links(near, far)
        .run(
            world -> {
              long[] even = LongStream.generate(() -> 1).limit(p).toArray();
              double bytes = (double) p * pairBytes;
              double flatModel =
                  far.latency()
                      + (local - 1) * near.secondsPerMessage()
                      + (p - local) * far.secondsPerMessage()
                      + bytes * (p - local) / p / far.bytesPerSecond();
              double twoModel =
                  near.latency()
                      + far.latency()
                      + (local - 1) * near.secondsPerMessage()
                      + bytes * (local - 1) / local / near.bytesPerSecond()
                      + (nodes - 1) * far.secondsPerMessage()
                      + bytes * (nodes - 1) / nodes / far.bytesPerSecond();
              assertEquals(flatModel, seconds(world, Strategy.FLAT, even, pairBytes), 1e-12);
              assertEquals(twoModel, seconds(world, Strategy.HIERARCHICAL, even, pairBytes), 1e-12);
              return null;
            });
  }

  /** 2 microseconds a message between nodes, 25 GB/s; 32 nodes of 8 ranks in one process. */
  @Test
  void manyRanksArePlayedInOneProcess() {
    double[] gain = new double[1];
    ThreadWorld.of(32, 8)
        .links(new LinkCost(0, 0.5e-6, 2.5e11), new LinkCost(0, 2e-6, 2.5e10))
        .run(
            world -> {
              long[] even = LongStream.generate(() -> 1).limit(256).toArray();
              double flat = seconds(world, Strategy.FLAT, even, 64);
              double two = seconds(world, Strategy.HIERARCHICAL, even, 64);
              if (world.rank() == 0) {
                gain[0] = flat / two;
              }
              return null;
            });
    // (p - G) far messages against N - 1, and twice the near ones.
    assertEquals(248 * 2e-6 / (31 * 2e-6 + 7 * 0.5e-6), gain[0], 0.5);
  }

  @Test
  void autoChoosesAlikeEverywhereAndByTheLinks() {
    List<List<Strategy>> choices =
        ThreadWorld.of(4, 4)
            .links(new LinkCost(0, 1e-6, 1e9), new LinkCost(0, 50e-6, 1e9))
            .run(
                world -> {
                  try (Exchange exchange =
                      Exchange.of(world, Strategy.AUTO, new ReferenceBackend())) {
                    // Only one rank has much to send; all must choose the same strategy.
                    long[] few = LongStream.generate(() -> 1).limit(16).toArray();
                    long[] many =
                        LongStream.generate(() -> world.rank() == 5 ? 10000 : 1)
                            .limit(16)
                            .toArray();
                    assertEquals(4, exchange.table().orElseThrow().rows().size());
                    return List.of(
                        exchange.plan(few, 256).strategy(), exchange.plan(many, 256).strategy());
                  }
                });
    assertEquals(1, new HashSet<>(choices).size(), choices.toString());
    assertEquals(List.of(Strategy.HIERARCHICAL, Strategy.FLAT), choices.getFirst());
  }

  @Test
  void aTableIsReadAtTheNearestSize() {
    SwitchTable table =
        new SwitchTable(
            List.of(
                new SwitchTable.Row(1000, 2, 1),
                new SwitchTable.Row(100_000, 2, 3),
                new SwitchTable.Row(1 << 30, 3, 1)));
    assertEquals(Strategy.HIERARCHICAL, table.choose(0));
    assertEquals(Strategy.HIERARCHICAL, table.choose(9_999));
    assertEquals(Strategy.FLAT, table.choose(10_001));
    assertEquals(Strategy.FLAT, table.choose(1_000_000));
    assertEquals(Strategy.HIERARCHICAL, table.choose(Long.MAX_VALUE));
  }

  @ParameterizedTest
  @EnumSource(Strategy.class)
  void withoutTwoLevelsEveryStrategyIsFlat(Strategy strategy) {
    for (int[] nodes : new int[][] {{0, 0, 0}, {0, 1, 2}, {0, 1, 1}, {0}}) {
      ThreadWorld.of(nodes.length)
          .on(nodes)
          .run(
              world -> {
                try (Exchange exchange = Exchange.of(world, strategy, new ReferenceBackend())) {
                  assertEquals(Strategy.FLAT, exchange.plan(new long[nodes.length], 8).strategy());
                  assertFalse(exchange.table().isPresent());
                }
                return null;
              });
    }
  }

  @Test
  void wrongArgumentsAreRefused() {
    ThreadWorld.of(2)
        .run(
            world -> {
              try (Exchange exchange = Exchange.of(world, Strategy.FLAT, new ReferenceBackend());
                  TensorScope scope = TensorScope.confined(MEMORY)) {
                assertThrows(IllegalArgumentException.class, () -> exchange.plan(new long[3], 4));
                assertThrows(
                    IllegalArgumentException.class, () -> exchange.plan(new long[] {1, -1}, 4));
                ExchangePlan plan = exchange.plan(new long[] {2, 3}, 4);
                Tensor rows = scope.zeros(DType.FLOAT32, 5, 1);
                Tensor few = scope.zeros(DType.FLOAT32, 1, 1);
                String message =
                    assertThrows(IllegalArgumentException.class, () -> plan.forward(few, rows))
                        .getMessage();
                assertTrue(message.contains("sends 5 rows"), message);
                assertThrows(IllegalArgumentException.class, () -> plan.reverse(few, rows));
              }
              return null;
            });
  }

  @Test
  void ranksThatSendDifferentRowsHearOfItByPlace() {
    CommunicationException thrown =
        assertThrows(
            CommunicationException.class,
            () ->
                ThreadWorld.of(2, 2)
                    .run(
                        world -> {
                          try (Exchange exchange =
                                  Exchange.of(
                                      world, Strategy.HIERARCHICAL, new ReferenceBackend());
                              TensorScope scope = TensorScope.confined(MEMORY)) {
                            exchange.at("layer 7 dispatch");
                            ExchangePlan plan = exchange.plan(new long[] {1, 1, 1, 1}, 4);
                            int width = world.rank() == 3 ? 2 : 1;
                            plan.forward(
                                scope.zeros(DType.FLOAT32, 4, width),
                                scope.zeros(DType.FLOAT32, 4, width));
                          }
                          return null;
                        }));
    assertTrue(thrown.getMessage().contains("layer 7 dispatch"), thrown.getMessage());
    assertTrue(thrown.getMessage().matches(".*rank.*3.*"), thrown.getMessage());
  }

  @Test
  void rowsTravelWhileTheRankComputes() {
    ThreadWorld.of(2, 2)
        .run(
            world -> {
              try (Exchange exchange =
                      Exchange.of(world, Strategy.HIERARCHICAL, new ReferenceBackend());
                  Background background = new Background("communication of " + world.rank());
                  TensorScope scope = TensorScope.confined(MEMORY)) {
                ExchangePlan plan = exchange.plan(new long[] {1, 2, 3, 4}, 4);
                Tensor rows = scope.zeros(DType.INT32, plan.rows());
                Tensor arrived = scope.zeros(DType.INT32, plan.arrived());
                Tensor back = scope.zeros(DType.INT32, plan.rows());
                for (int i = 0; i < plan.rows(); i++) {
                  rows.setInt(i, 100 * world.rank() + i);
                }
                try (var there = background.start(() -> plan.forward(rows, arrived));
                    var _ = background.start(() -> plan.reverse(arrived, back))) {
                  there.await();
                }
                assertArrayEquals(rows.toInts(), back.toInts());
                var failing =
                    background.start(() -> plan.forward(back, scope.zeros(DType.INT32, 1)));
                assertThrows(RuntimeException.class, failing::await);
              }
              return null;
            });
  }

  @Test
  void aFlightRecordingShowsEachDirection(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("exchange.jfr");
    try (Recording recording = new Recording()) {
      recording.enable("panamoe.Exchange");
      recording.start();
      ThreadWorld.of(2)
          .run(
              world -> {
                try (Exchange exchange = Exchange.of(world, Strategy.FLAT, new ReferenceBackend());
                    TensorScope scope = TensorScope.confined(MEMORY)) {
                  ExchangePlan plan = exchange.plan(new long[] {1, 2}, 8);
                  Tensor rows = scope.zeros(DType.FLOAT32, 4, 2);
                  exchange.at("layer 5 dispatch");
                  plan.forward(rows, scope.zeros(DType.FLOAT32, 4, 2));
                  exchange.at("layer 5 combine");
                  plan.reverse(rows, scope.zeros(DType.FLOAT32, 4, 2));
                }
                return null;
              });
      recording.stop();
      recording.dump(file);
    }
    List<String> events =
        RecordingFile.readAllEvents(file).stream()
            .map(
                event ->
                    event.getThread().getJavaName()
                        + " "
                        + event.getString("place")
                        + " "
                        + event.getString("direction")
                        + " "
                        + event.getLong("rows")
                        + " "
                        + event.getLong("bytes"))
            .sorted()
            .toList();
    assertEquals(
        List.of(
            "rank 0 layer 5 combine reverse 2 16",
            "rank 0 layer 5 dispatch forward 3 24",
            "rank 1 layer 5 combine reverse 4 32",
            "rank 1 layer 5 dispatch forward 3 24"),
        events);
  }

  private static double seconds(
      Communicator world, Strategy strategy, long[] counts, int rowBytes) {
    try (Exchange exchange = Exchange.of(world, strategy, new ReferenceBackend());
        TensorScope scope = TensorScope.confined(MEMORY)) {
      ExchangePlan plan = exchange.plan(counts, rowBytes);
      Tensor rows = scope.zeros(DType.UINT8, plan.rows(), rowBytes);
      Tensor arrived = scope.zeros(DType.UINT8, plan.arrived(), rowBytes);
      world.barrier();
      double start = world.seconds();
      plan.forward(rows, arrived);
      return world.seconds() - start;
    }
  }

  private static Traffic sent(Communicator world, Runnable exchange) {
    Traffic before = world.traffic();
    exchange.run();
    Traffic after = world.traffic();
    return new Traffic(
        after.nearMessages() - before.nearMessages(),
        after.nearBytes() - before.nearBytes(),
        after.farMessages() - before.farMessages(),
        after.farBytes() - before.farBytes());
  }

  private static long random(int seed, int from, int to, int block) {
    Random random = new Random(((seed * 31L + from) * 31 + to) * 31 + block);
    random.nextInt();
    return random.nextInt(5) == 0 ? 0 : random.nextInt(7);
  }

  private static long[] sends(Communicator group, Counts counts, int blocks) {
    long[] sends = new long[group.size() * blocks];
    for (int i = 0; i < sends.length; i++) {
      sends[i] = counts.at(group.rank(), i / blocks, i % blocks);
    }
    return sends;
  }

  /** Runs a plan forward and in reverse. */
  private static void check(
      Communicator group,
      ExchangePlan plan,
      Counts counts,
      int blocks,
      DType dtype,
      long[] rowShape) {
    long[] received = receives(group, counts, blocks);
    assertArrayEquals(received, plan.received());
    long[] first = new long[received.length];
    checkTravel(
        group,
        group.size(),
        SelfCommunicator.WORLD,
        plan,
        sends(group, counts, blocks),
        received,
        first,
        dtype,
        rowShape);
  }

  /** {@link #check} for sliced sources: each block arrives in the parts that the slices sent. */
  private static void checkParts(
      Communicator group,
      int sources,
      Communicator tensor,
      Communicator slices,
      ExchangePlan plan,
      Counts counts) {
    long[] received = receives(group, counts, 2);
    long[] part = new long[received.length];
    long[] first = new long[received.length];
    long[] subs = group.allGather(tensor.rank() / slices.size());
    for (int i = 0; i < part.length; i++) {
      long begin = subs[i / 2] * slices.size();
      for (int sender = 0; sender < begin + slices.size(); sender++) {
        long sent = CollectiveCall.share(received[i], sender, tensor.size());
        part[i] += sender < begin ? 0 : sent;
        first[i] += sender < begin ? sent : 0;
      }
    }
    assertArrayEquals(part, plan.received());
    long[] shape = {0, 3};
    checkTravel(
        group, sources, slices, plan, sends(group, counts, 2), part, first, DType.FLOAT32, shape);
  }

  /**
   * The first slice returns the arrived rows, the others zeros, so that the sum is the arrived
   * rows.
   *
   * @param sources ranks of the group with distinct rows; rank i has the rows of i % sources
   */
  private static void checkTravel(
      Communicator group,
      int sources,
      Communicator slices,
      ExchangePlan plan,
      long[] sends,
      long[] part,
      long[] first,
      DType dtype,
      long[] rowShape) {
    assertEquals(LongStream.of(sends).sum(), plan.rows());
    assertEquals(LongStream.of(part).sum(), plan.arrived());
    int blocks = part.length / group.size();
    try (TensorScope scope = TensorScope.confined(MEMORY)) {
      // One extra row at the end, which must not be written.
      Tensor rows = scope.zeros(dtype, shape(rowShape, plan.rows() + 1));
      Tensor arrived = scope.zeros(dtype, shape(rowShape, plan.arrived() + 1));
      Tensor back = scope.zeros(dtype, rows.shape());
      Tensor expected = scope.zeros(dtype, arrived.shape());
      fill(
          rows,
          sends,
          new long[sends.length],
          i -> blockName(group.rank() % sources, i / blocks, i % blocks));
      fill(expected, part, first, i -> blockName(i / blocks % sources, group.rank(), i % blocks));
      plan.forward(rows, arrived);
      assertEquals(-1, expected.data().mismatch(arrived.data()));
      if (slices.rank() > 0) {
        arrived.data().fill((byte) 0);
      }
      plan.reverse(arrived, back);
      assertEquals(-1, rows.data().mismatch(back.data()));
    }
  }

  private static int blockName(int from, int to, int block) {
    return from * 61 + to * 17 + block * 5;
  }

  /**
   * Writes into each row its block and its number in the block; {@code first} is the first row's
   * number.
   */
  private static void fill(Tensor tensor, long[] counts, long[] first, IntUnaryOperator name) {
    long width = tensor.count() / tensor.size(0);
    long element = 0;
    for (int block = 0; block < counts.length; block++) {
      for (long i = first[block] * width; i < (first[block] + counts[block]) * width; i++) {
        tensor.setFloat(element++, (name.applyAsInt(block) + i) % 251);
      }
    }
  }

  private static long[] shape(long[] rowShape, long rows) {
    long[] shape = rowShape.clone();
    shape[0] = rows;
    return shape;
  }

  private static long[] receives(Communicator group, Counts counts, int blocks) {
    long[] receives = new long[group.size() * blocks];
    for (int i = 0; i < receives.length; i++) {
      receives[i] = counts.at(i / blocks, group.rank(), i % blocks);
    }
    return receives;
  }
}

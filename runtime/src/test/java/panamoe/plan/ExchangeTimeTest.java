package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.comm.exchange.Strategy;
import panamoe.parallel.Topology;

/** Compares with messages and bytes counted by hand, and with the real exchange's choice table. */
class ExchangeTimeTest {
  private static final Node NODE = Node.KNOWN.get("dgx-a100-40");

  private static double microseconds(int ranks, double bytes, Strategy strategy) {
    return microseconds(ranks, many(bytes), strategy);
  }

  private static double microseconds(int ranks, ExchangeTime.Rows rows, Strategy strategy) {
    Optimizations optimizations = new Optimizations(strategy, true, true);
    // Out and back.
    return new ExchangeTime(NODE, Topology.of(ranks), optimizations).exchange(ranks, rows) / 2e-6;
  }

  /** Rows of one byte, some for each rank. */
  private static ExchangeTime.Rows many(double bytes) {
    return new ExchangeTime.Rows(bytes, bytes);
  }

  @Test
  void sixtyFourRanks() {
    double bytes = 1 << 20;
    double flat = 14 + 56 * 2 + 7 * 0.69 + bytes * 56 / 64 / 22e3;
    assertEquals(flat, microseconds(64, bytes, Strategy.FLAT), 1e-6);
    double near = 7 + 7 * 0.69 + bytes * 7 / 8 / 240e3;
    double far = 14 + 7 * 2 + bytes * 7 / 8 / 22e3;
    double copies = 2 * (4 + 2 * bytes / 1200e3);
    assertEquals(near + far + copies, microseconds(64, bytes, Strategy.HIERARCHICAL), 1e-6);
  }

  /** The faster exchange changes with the bytes, later for more ranks. */
  @ParameterizedTest
  @CsvSource({
    "32, 16384, true",
    "16, 16777216, false",
    "64, 1048576, true",
    "64, 268435456, false",
    "256, 16777216, true",
    "256, 268435456, false",
    "1024, 16777216, true",
    "4096, 268435456, true",
  })
  void smallMessagesAndManyRanksAreForTwoLevels(int ranks, double bytes, boolean levels) {
    double flat = microseconds(ranks, bytes, Strategy.FLAT);
    double hierarchical = microseconds(ranks, bytes, Strategy.HIERARCHICAL);
    assertEquals(levels, hierarchical < flat);
    assertEquals(Math.min(flat, hierarchical), microseconds(ranks, bytes, Strategy.AUTO), 1e-9);
  }

  /**
   * Each of 2 ranks sends its only row to the other with probability 1/2: at least one of both with
   * 3/4.
   */
  @Test
  void aRankThatGetsNoRowGetsNoMessage() {
    double row = 8192;
    double mean = 7 + 0.75 * 0.69 + row / 2 / 240e3;
    assertEquals(mean, microseconds(2, new ExchangeTime.Rows(1, row), Strategy.FLAT), 1e-9);
    // A system that pads its experts' rows always sends them.
    ExchangeTime padded = new ExchangeTime(NODE, Topology.of(2), Optimizations.PAPER);
    double whole = 7 + 0.69 + row / 2 / 240e3;
    assertEquals(whole, 5e5 * padded.exchange(2, new ExchangeTime.Rows(1, row)), 1e-9);
  }

  /** Ranks 6 to 11 of nodes of eight: the first two have four of their six on the other node. */
  @Test
  void aGroupThatBeginsWithinANodeCounts() {
    double bytes = 1 << 20;
    double worst = 14 + 4 * 2 + 0.69 + bytes * 4 / 6 / 22e3;
    ExchangeTime time = new ExchangeTime(NODE, new Topology(24, 6, 1, 1), Optimizations.PANAMOE);
    assertEquals(worst, 5e5 * time.exchange(6, many(bytes)), 1e-6);
    assertFalse(time.hasLevels(6));
    // All of it, three whole nodes.
    assertTrue(time.hasLevels(24));
  }

  @Test
  void oneNodeHasOneLevel() {
    double bytes = 32 << 10;
    double expected = 7 + 7 * 0.69 + bytes * 7 / 8 / 240e3;
    assertEquals(expected, microseconds(8, bytes, Strategy.HIERARCHICAL), 1e-9);
    assertEquals(0, microseconds(1, bytes, Strategy.AUTO), 0);
  }

  @Test
  void tensorRanksSendAPartAndGatherTheResult() {
    Optimizations flat = new Optimizations(Strategy.FLAT, true, true);
    Topology topology = new Topology(16, 2, 8, 8); // two nodes: each expert sliced over one
    double bytes = 1 << 20;
    double part = bytes / 8;
    double expected =
        2 * (14 + 2 + part / 2 / 22e3) // to the other node and back
            + 2 * (7 + 7 * 0.69 + bytes * 7 / 8 / 240e3) // among the slices
            + 7
            + 7 * 0.69
            + bytes * 7 / 8 / 240e3 // over the tensor group
            + 4 * 4 // copies: a part, the slices' rows twice, the result
            + 2 * (part + 3 * bytes) / 1200e3;
    double seconds = new ExchangeTime(NODE, topology, flat).exchange(2, many(bytes));
    assertEquals(expected, 1e6 * seconds, 1e-6);
  }

  @Test
  void slicesOfEveryExpertAreSummed() {
    Topology topology = new Topology(8, 1, 8, 8);
    ExchangeTime time = new ExchangeTime(NODE, topology, Optimizations.PANAMOE);
    double bytes = 1 << 20;
    double ring = 7 + 14 * 0.69 + 2 * bytes * 7 / 8 / 240e3;
    assertEquals(ring, 1e6 * time.exchange(1, many(bytes)), 1e-6);
    assertTrue(time.allReduce(bytes) > 0);
  }

  /** One way takes 7 + 0.69 + bytes / 2 / 240e3 microseconds. */
  @Test
  void rowsThatTravelWhileTheirRankComputes() {
    Topology pair = Topology.of(2);
    double bytes = 1 << 20;
    ExchangeTime.Rows rows = many(bytes);
    double whole = 7 + 0.69 + bytes / 2 / 240e3;
    double half = 7 + 0.69 + bytes / 4 / 240e3;
    ExchangeTime one = new ExchangeTime(NODE, pair, Optimizations.PANAMOE.overlapping(1));
    // The residual MLP overlaps with 4 microseconds of the dispatch, or with all of it.
    assertEquals(2 * whole - 4, 1e6 * one.waiting(2, rows, 4e-6, 9e-6), 1e-6);
    assertEquals(whole, 1e6 * one.waiting(2, rows, 1, 9e-6), 1e-6);
    ExchangeTime two = new ExchangeTime(NODE, pair, Optimizations.PANAMOE.overlapping(2));
    // Experts of 200 microseconds hide all but the first part's way there and the last one's back.
    assertEquals(2 * half, 1e6 * two.waiting(2, rows, 0, 200e-6), 1e-6);
    // Without anything to compute, two parts cost what two messages do.
    assertEquals(4 * half, 1e6 * two.waiting(2, rows, 0, 0), 1e-6);
    ExchangeTime none = new ExchangeTime(NODE, pair, Optimizations.PANAMOE);
    assertEquals(2 * whole, 1e6 * none.waiting(2, rows, 1, 1), 1e-6);
  }
}

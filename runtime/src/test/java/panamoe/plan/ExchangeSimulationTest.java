package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.comm.VirtualSpan;
import panamoe.comm.exchange.Strategy;
import panamoe.parallel.Topology;

/** Compares simulated exchanges of many devices with the closed form. */
class ExchangeSimulationTest {
  private static final Node NODE = Node.KNOWN.get("dgx-a100");
  private static final int ROW = 8192;

  /** The closed form's case: every device sends equally many rows to every other. */
  @ParameterizedTest
  @CsvSource({
    "8, 8, 1, 1, 16, FLAT",
    "64, 64, 1, 1, 1, FLAT",
    "64, 64, 1, 1, 16, FLAT",
    "64, 64, 1, 1, 1, HIERARCHICAL",
    "64, 64, 1, 1, 16, HIERARCHICAL",
    "64, 32, 2, 1, 16, HIERARCHICAL",
    "64, 8, 8, 1, 16, FLAT",
    "64, 8, 8, 8, 16, FLAT",
    "64, 16, 8, 4, 16, HIERARCHICAL",
    "64, 64, 4, 1, 16, HIERARCHICAL",
  })
  void evenRoutesTakeWhatTheClosedFormSays(
      int ranks, int expert, int tensor, int slices, int rowsOfAnExpert, Strategy strategy) {
    Topology topology = new Topology(ranks, expert, tensor, slices);
    long[][] routes = ExchangeSimulation.even(topology.dataDegree(), 128, 128L * rowsOfAnExpert, 1);
    ExchangeSimulation.Result result =
        new ExchangeSimulation(NODE, topology, strategy).run(routes, ROW);
    assertEquals(result.closedForm(), result.simulated(), 0.05 * result.closedForm());
    assertTrue(result.counts() > 0 && result.counts() < result.simulated());
  }

  /**
   * Eight tokens per device on 64 devices: most pairs exchange nothing, and flat is the faster
   * exchange.
   */
  @Test
  void fewTokensAreFewMessages() {
    Topology topology = Topology.of(64);
    long[][] routes = ExchangeSimulation.even(64, 128, 8, 1);
    ExchangeSimulation.Result flat =
        new ExchangeSimulation(NODE, topology, Strategy.FLAT).run(routes, ROW / 2);
    ExchangeSimulation.Result levels =
        new ExchangeSimulation(NODE, topology, Strategy.HIERARCHICAL).run(routes, ROW / 2);
    assertEquals(flat.closedForm(), flat.simulated(), 0.25 * flat.closedForm());
    assertEquals(levels.closedForm(), levels.simulated(), 0.1 * levels.closedForm());
    assertTrue(flat.simulated() < levels.simulated());
    assertTrue(flat.closedForm() < levels.closedForm());
  }

  /** From each of 16 devices, 8 rows to each expert, and 128 more to expert 11. */
  private static long[][] hot() {
    long[][] routes = new long[16][16];
    for (long[] ofRank : routes) {
      Arrays.fill(ofRank, 8);
      ofRank[11] += 128;
    }
    return routes;
  }

  @Test
  void aHotExpertsDeviceReceivesLongest() {
    Topology topology = Topology.of(16);
    ExchangeSimulation.Result result =
        new ExchangeSimulation(NODE, topology, Strategy.FLAT).run(hot(), ROW);
    // Rows come to device 11 over the network, and return.
    double bytes = 8 * 136.0 * ROW;
    assertEquals(11, result.busiest().rank());
    assertTrue(result.busiest().name().startsWith("far"), result.busiest().name());
    double far = bytes / NODE.far().bandwidth().value();
    assertTrue(result.busiest().seconds() > far, result.busiest().toString());
    assertTrue(result.simulated() > 2 * far);
  }

  /** The case of plans with a skew: device 11 gets 2176 rows, the mean is 256. */
  @ParameterizedTest
  @EnumSource(
      value = Strategy.class,
      names = {"FLAT", "HIERARCHICAL"})
  void hotExpertsTakeWhatTheClosedFormSays(Strategy strategy) {
    Topology topology = Topology.of(16);
    ExchangeSimulation.Result result =
        new ExchangeSimulation(NODE, topology, strategy).run(hot(), ROW);
    ExchangeTime.Rows rows = new ExchangeTime.Rows(256, 256 * ROW, 2176.0 / 256);
    double seconds =
        new ExchangeTime(NODE, topology, Optimizations.PANAMOE.with(strategy)).exchange(16, rows);
    assertEquals(seconds, result.closedForm(), 1e-12);
    assertEquals(seconds, result.simulated(), 0.05 * seconds);
  }

  @Test
  void spansOfADeviceDoNotOverlapAndRunsAreAlike() {
    ExchangeSimulation twin =
        new ExchangeSimulation(NODE, new Topology(32, 16, 2, 1), Strategy.HIERARCHICAL);
    long[][] routes = ExchangeSimulation.even(16, 16, 100, 1);
    ExchangeSimulation.Result result = twin.run(routes, ROW);
    VirtualSpan before = null;
    for (VirtualSpan span : result.spans()) {
      if (before != null && before.rank() == span.rank()) {
        assertTrue(span.start() >= before.end() - 1e-12, before + " and " + span);
      }
      assertTrue(span.end() >= span.start() && span.start() >= 0);
      before = span;
    }
    assertEquals(31, before.rank());
    assertEquals(result.spans(), twin.run(routes, ROW).spans());
  }

  @Test
  void evenRoutesDifferByOneRow() {
    long[][] routes = ExchangeSimulation.even(20, 8, 21, 3);
    for (long[] ofRank : routes) {
      assertEquals(21, LongStream.of(ofRank).sum());
      assertTrue(LongStream.of(ofRank).allMatch(rows -> rows == 2 || rows == 3));
    }
    assertTrue(Arrays.stream(routes).map(Arrays::toString).distinct().count() > 10);
    assertArrayEquals(routes, ExchangeSimulation.even(20, 8, 21, 3));
  }

  @Test
  void whatCannotBePlayedIsRefused() {
    Topology whole = new Topology(8, 1, 1, 1);
    refused(
        "so no rows are exchanged",
        () -> new ExchangeSimulation(NODE, whole, Strategy.FLAT).run(new long[8][4], ROW));
    refused("at most 1024", () -> new ExchangeSimulation(NODE, Topology.of(2048), Strategy.FLAT));
    refused(
        "a flat or hierarchical exchange",
        () -> new ExchangeSimulation(NODE, whole, Strategy.AUTO));
    Topology wide = new Topology(48, 3, 16, 1);
    refused("within a node", () -> new ExchangeSimulation(NODE, wide, Strategy.FLAT));
  }

  private static void refused(String words, Runnable making) {
    String message = assertThrows(IllegalArgumentException.class, making::run).getMessage();
    assertTrue(message.contains(words), message);
  }
}

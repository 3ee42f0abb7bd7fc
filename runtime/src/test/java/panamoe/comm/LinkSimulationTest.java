package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** {@link LinkSimulation} against schedules made by hand. */
class LinkSimulationTest {
  private static final int[] TWO_NODES = {0, 0, 1, 1};

  private static LinkSimulation of(double[] ready, double[][] seconds) {
    return new LinkSimulation(MessageOrder.of(TWO_NODES), ready, seconds);
  }

  @Test
  void othersOfTheNodeComeFirstThenNodeByNodeFromTheOwnPlaceOn() {
    int[][] order = MessageOrder.of(new int[] {0, 0, 1, 1, 2});
    assertArrayEquals(new int[] {1, 2, 3, 4}, order[0]);
    assertArrayEquals(new int[] {0, 3, 2, 4}, order[1]);
    assertArrayEquals(new int[] {0, 1, 2, 3}, order[4]);
  }

  @Test
  void evenMessagesNeverWait() {
    double[][] seconds = new double[4][4];
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) {
        seconds[i][j] = i == j ? 0 : 2;
      }
    }
    LinkSimulation events = of(new double[4], seconds);
    assertArrayEquals(new double[] {6, 6, 6, 6}, events.sent());
    assertArrayEquals(new double[] {6, 6, 6, 6}, events.received());
  }

  @Test
  void aReceiverTakesOneMessageAtATimeAndOthersDoNotWait() {
    double[][] seconds = {{0, 0, 5, 1}, {0, 0, 5, 0}, {0, 0, 0, 0}, {0, 0, 5, 0}};
    LinkSimulation events = of(new double[] {0, 0, 0, 1}, seconds);
    // At time 0, ranks 0 and 1 want to send to 2, in rank order. Rank 3 is late, but on 2's node,
    // so it comes before 1.
    assertArrayEquals(new double[] {6, 15, 0, 10}, events.sent());
    assertArrayEquals(new double[] {0, 0, 15, 6}, events.received());
    assertArrayEquals(new double[] {6, 5, 0, 5}, events.sending());
    assertArrayEquals(new double[] {0, 0, 15, 1}, events.receiving());
  }

  @Test
  void aLateReceiverIsWaitedFor() {
    double[][] seconds = new double[4][4];
    seconds[0][2] = 1;
    LinkSimulation events = of(new double[] {0, 0, 4, 0}, seconds);
    assertEquals(5, events.sent()[0]);
    assertEquals(5, events.received()[2]);
    assertEquals(0, events.received()[3]);
  }

  /** No link idles while it could send, so the end is near the lower bound. */
  @Test
  void anyMessagesEndNotMuchLaterThanTheBusiestMemberNeeds() {
    int members = 24;
    int[] nodes = IntStream.range(0, members).map(i -> i / 8).toArray();
    Random random = new Random(5);
    for (int turn = 0; turn < 50; turn++) {
      double[][] seconds = new double[members][members];
      double[] busy = new double[2 * members];
      for (int i = 0; i < members; i++) {
        for (int j = 0; j < members; j++) {
          seconds[i][j] = i == j || random.nextInt(4) == 0 ? 0 : 1 + random.nextInt(20);
          busy[i] += seconds[i][j];
          busy[members + j] += seconds[i][j];
        }
      }
      double least = Arrays.stream(busy).max().orElseThrow();
      LinkSimulation events =
          new LinkSimulation(MessageOrder.of(nodes), new double[members], seconds);
      double end = Arrays.stream(events.received()).max().orElseThrow();
      assertEquals(end, Arrays.stream(events.sent()).max().orElseThrow());
      assertTrue(end >= least && end <= 1.3 * least, end + " of at least " + least);
    }
  }
}

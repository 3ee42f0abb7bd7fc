package panamoe.comm;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/**
 * Event simulation of one collective's messages over links of one kind. A member sends one message
 * at a time and receives one at a time. A member that is free to send takes the next of its
 * messages whose receiver is free. Used once.
 */
final class LinkSimulation {
  /** A member is free to send, or to receive, from {@code time} on. */
  private record Event(double time, int member, boolean sends) {}

  private final int[][] order;
  private final double[][] seconds;
  private final int[]
      firstReceiver; // for each member, index of the first message in its order that may be unsent
  private final int[] firstSender;
  private final boolean[] maySend;
  private final boolean[] mayReceive;
  private final PriorityQueue<Event> events =
      new PriorityQueue<>(Comparator.comparingDouble(Event::time).thenComparingInt(Event::member));
  private final double[] sent;
  private final double[] received;
  private final double[] sending;
  private final double[] receiving;

  /**
   * @param order in which each member looks for another to send to, or to receive from
   * @param ready when each member can begin
   * @param seconds duration of the message from each member to each; 0 for no message. The
   *     simulation sets an entry to 0 when its message begins
   */
  LinkSimulation(int[][] order, double[] ready, double[][] seconds) {
    int members = ready.length;
    this.order = order;
    this.seconds = seconds;
    this.firstReceiver = new int[members];
    this.firstSender = new int[members];
    this.maySend = new boolean[members];
    this.mayReceive = new boolean[members];
    this.sent = ready.clone();
    this.received = ready.clone();
    this.sending = new double[members];
    this.receiving = new double[members];
    for (int member = 0; member < members; member++) {
      events.add(new Event(ready[member], member, true));
      events.add(new Event(ready[member], member, false));
    }
    while (!events.isEmpty()) {
      step();
    }
  }

  /** When each member has sent its last message. */
  double[] sent() {
    return sent;
  }

  /** When the last message to each member has been sent. */
  double[] received() {
    return received;
  }

  /** Seconds that each member sends. */
  double[] sending() {
    return sending;
  }

  /** Seconds that each member receives. */
  double[] receiving() {
    return receiving;
  }

  /**
   * Collects all events of one time before a message begins, so that every free member is known.
   */
  private void step() {
    double now = events.peek().time();
    List<Integer> senders = new ArrayList<>();
    List<Integer> receivers = new ArrayList<>();
    while (!events.isEmpty() && events.peek().time() == now) {
      Event event = events.remove();
      (event.sends() ? maySend : mayReceive)[event.member()] = true;
      (event.sends() ? senders : receivers).add(event.member());
    }
    for (int from : senders) {
      int[] to = order[from];
      while (firstReceiver[from] < to.length && seconds[from][to[firstReceiver[from]]] == 0) {
        firstReceiver[from]++;
      }
      for (int i = firstReceiver[from]; i < to.length; i++) {
        if (mayReceive[to[i]] && seconds[from][to[i]] > 0) {
          begin(now, from, to[i]);
          break;
        }
      }
    }
    // Senders that were already free had no free receiver.
    for (int to : receivers) {
      if (mayReceive[to]) {
        findSender(now, to);
      }
    }
  }

  private void findSender(double now, int to) {
    int[] from = order[to];
    while (firstSender[to] < from.length && seconds[from[firstSender[to]]][to] == 0) {
      firstSender[to]++;
    }
    for (int i = firstSender[to]; i < from.length; i++) {
      if (maySend[from[i]] && seconds[from[i]][to] > 0) {
        begin(now, from[i], to);
        return;
      }
    }
  }

  private void begin(double now, int from, int to) {
    double took = seconds[from][to];
    double end = now + took;
    seconds[from][to] = 0;
    maySend[from] = false;
    mayReceive[to] = false;
    sent[from] = end;
    received[to] = end;
    sending[from] += took;
    receiving[to] += took;
    events.add(new Event(end, from, true));
    events.add(new Event(end, to, false));
  }
}

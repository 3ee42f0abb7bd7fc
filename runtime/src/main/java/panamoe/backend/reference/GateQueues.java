package panamoe.backend.reference;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.QueueOrder;

/** The queue of routes of each expert, and the routes that its capacity keeps. */
final class GateQueues {

  /** Choice k of token s. */
  private record Route(int token, int choice) {}

  private final List<List<Route>> asked = new ArrayList<>();
  private final List<List<Route>> kept = new ArrayList<>();
  private final int[][] expert;
  private final int[][] position;

  private GateQueues(int experts, int tokens, int topK) {
    for (int e = 0; e < experts; e++) {
      asked.add(new ArrayList<>());
    }
    expert = new int[tokens][topK];
    position = new int[tokens][topK];
  }

  static GateQueues fill(GateSettings settings, int[][] choice, float[][] scores, GateInput input) {
    GateQueues queues = new GateQueues(input.experts(), choice.length, settings.topK());
    queues.line(settings.queues().order(), choice);
    for (int e = 0; e < queues.asked.size(); e++) {
      queues.kept.add(survivors(settings, e, queues.asked.get(e), scores, input.priority()));
    }
    queues.number();
    return queues;
  }

  /** Routes to expert e before dropping. */
  int asked(int e) {
    return asked.get(e).size();
  }

  /** Routes that expert e keeps. */
  int kept(int e) {
    return kept.get(e).size();
  }

  /** The expert of each kept route [S][K]; -1 dropped. */
  int[][] expert() {
    return expert;
  }

  /** The position of each kept route in its expert's queue [S][K], from 0; -1 dropped. */
  int[][] position() {
    return position;
  }

  private void line(QueueOrder order, int[][] choice) {
    int topK = expert.length == 0 ? 0 : expert[0].length;
    boolean tokenMajor = order == QueueOrder.TOKEN_MAJOR;
    int outer = tokenMajor ? choice.length : topK;
    int inner = tokenMajor ? topK : choice.length;
    for (int i = 0; i < outer; i++) {
      for (int j = 0; j < inner; j++) {
        Route route = tokenMajor ? new Route(i, j) : new Route(j, i);
        int e = choice[route.token()][route.choice()];
        if (e >= 0) {
          asked.get(e).add(route);
        }
      }
    }
  }

  /** The kept part of a queue, in the order of the queue. */
  private static List<Route> survivors(
      GateSettings settings, int e, List<Route> queue, float[][] scores, double[][] priority) {
    long capacity = Math.min(settings.queues().capacity(), queue.size());
    boolean choiceMajor = settings.queues().order() == QueueOrder.CHOICE_MAJOR;
    Comparator<Integer> highestFirst =
        switch (settings.queues().policy()) {
          case DROPLESS, POSITION -> Comparator.naturalOrder();
          case PROBABILITY ->
              Comparator.comparingDouble(place -> -scores[queue.get(place).token()][e]);
          case PRIORITY ->
              Comparator.comparingDouble(place -> -priority[queue.get(place).token()][e]);
          case BEST_SCORE ->
              Comparator.<Integer>comparingInt(place -> choiceMajor ? queue.get(place).choice() : 0)
                  .thenComparingDouble(place -> -best(scores[queue.get(place).token()]));
        };
    if (settings.queues().policy() == GateSettings.DropPolicy.DROPLESS) {
      return queue;
    }
    List<Integer> places = new ArrayList<>();
    for (int place = 0; place < queue.size(); place++) {
      places.add(place);
    }
    // The sort is stable: equal ranks keep the order of the queue.
    return places.stream().sorted(highestFirst).limit(capacity).sorted().map(queue::get).toList();
  }

  private static float best(float[] scores) {
    float best = 0;
    for (float score : scores) {
      best = Math.max(best, score);
    }
    return best;
  }

  private void number() {
    for (int s = 0; s < expert.length; s++) {
      Arrays.fill(expert[s], -1);
      Arrays.fill(position[s], -1);
    }
    for (int e = 0; e < kept.size(); e++) {
      List<Route> routes = kept.get(e);
      for (int place = 0; place < routes.size(); place++) {
        Route route = routes.get(place);
        expert[route.token()][route.choice()] = e;
        position[route.token()][route.choice()] = place;
      }
    }
  }
}

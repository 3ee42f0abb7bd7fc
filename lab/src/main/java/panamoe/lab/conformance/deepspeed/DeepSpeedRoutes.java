package panamoe.lab.conformance.deepspeed;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.RouteTable;

/**
 * Compares a gate's recorded result in DeepSpeed's terms with ours. DeepSpeed's slots are our
 * positions.
 */
final class DeepSpeedRoutes {
  private DeepSpeedRoutes() {}

  /** Compares {@code route_*} [K, S] route by route. Tied routes of a token may have any order. */
  static void compare(Replay replay, RouteTable ours, boolean ordered) {
    RouteTable recorded = recorded(replay.golden(), ours);
    RouteTable expected = ordered ? recorded : recorded.byExpert();
    RouteTable actual = ordered ? ours : ours.byExpert();
    replay.exact("route_expert", expected.routes().expert(), actual.routes().expert());
    replay.exact("route_slot", expected.routes().position(), actual.routes().position());
    replay.close("route_gate", expected.routes().weight(), actual.routes().weight());
  }

  /**
   * Compares {@code combine_weights} and the dispatch mask [S, E, C], in the sparse and, where
   * given, the dense form.
   */
  static void compareDense(Replay replay, RouteTable ours) {
    GoldenFile golden = replay.golden();
    TreeMap<Long, Float> actual = new TreeMap<>();
    long capacity = golden.longs("capacity")[0];
    for (int route = 0; route < ours.routes().expert().length; route++) {
      if (ours.routes().expert()[route] >= 0 && ours.routes().weight()[route] != 0) {
        long row = route / ours.topK() * ours.experts() + ours.routes().expert()[route];
        actual.put(row * capacity + ours.routes().position()[route], ours.routes().weight()[route]);
      }
    }
    TreeMap<Long, Float> expected = new TreeMap<>();
    long[] at = flat(golden.longs("combine_index"), capacity, ours.experts());
    float[] recorded = golden.floats("combine_value");
    for (int i = 0; i < at.length; i++) {
      expected.put(at[i], recorded[i]);
    }
    replay.exact("combine_index", places(expected), places(actual));
    replay.close("combine_value", values(expected), values(actual));
    long[] dispatched = flat(golden.longs("dispatch_index"), capacity, ours.experts());
    Arrays.sort(dispatched);
    replay.exact("dispatch_index", dispatched, places(actual));
    if (golden.has("combine_weights")) {
      float[] dense = new float[golden.floats("combine_weights").length];
      actual.forEach((place, weight) -> dense[place.intValue()] = weight);
      replay.close("combine_weights", dense);
      long[] mask = new long[dense.length];
      actual.keySet().forEach(place -> mask[place.intValue()] = 1);
      replay.exact("dispatch_mask", mask);
    }
  }

  private static long[] places(Map<Long, Float> sparse) {
    return sparse.keySet().stream().mapToLong(Long::longValue).toArray();
  }

  private static float[] values(Map<Long, Float> sparse) {
    List<Float> values = List.copyOf(sparse.values());
    return Layouts.floats(values.size(), values::get);
  }

  /** [N, 3] of (token, expert, slot) to places in [S, E, C]. */
  private static long[] flat(long[] index, long capacity, int experts) {
    long[] at = new long[index.length / 3];
    Arrays.setAll(
        at, i -> (index[3 * i] * experts + index[3 * i + 1]) * capacity + index[3 * i + 2]);
    return at;
  }

  /**
   * The recorded table as [S, K]; slots and gates of dropped routes are undefined and copied from
   * ours.
   */
  private static RouteTable recorded(GoldenFile golden, RouteTable ours) {
    int topK = ours.topK();
    int tokens = ours.tokens();
    long[] expert = Layouts.transposed(golden.longs("route_expert"), topK, tokens);
    long[] slot = Layouts.transposed(golden.longs("route_slot"), topK, tokens);
    float[] gate = Axes.of(topK, tokens).as(1, 0).ordered(golden.floats("route_gate"));
    for (int route = 0; route < expert.length; route++) {
      if (expert[route] < 0) {
        slot[route] = -1;
        gate[route] = 0;
      }
    }
    return ours.withRoutes(expert, slot, gate);
  }
}

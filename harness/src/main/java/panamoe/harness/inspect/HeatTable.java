package panamoe.harness.inspect;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.open.ExpertHeat;

/** How often tokens chose each expert, one line per MoE layer. */
final class HeatTable {
  private static final int HOTTEST = 8;

  private HeatTable() {}

  static String line(ExpertHeat.Layer layer) {
    long[] tokens = layer.tokens();
    long routes = Arrays.stream(tokens).sum();
    if (routes == 0) {
      return "layer " + layer.layer() + ": no routes";
    }
    List<Integer> hottest =
        IntStream.range(0, tokens.length)
            .boxed()
            .sorted(Comparator.comparingLong(e -> -tokens[e]))
            .toList();
    int half = 0;
    for (long taken = 0; 2 * taken < routes; half++) {
      taken += tokens[hottest.get(half)];
    }
    return Words.of(
        "layer %d: %s, half of them to %d of %d experts; most to %s",
        layer.layer(),
        Count.of(routes, "route"),
        half,
        tokens.length,
        hottest.stream()
            .limit(HOTTEST)
            .map(e -> Words.of("%d (%.1f %%)", e, 100.0 * tokens[e] / routes))
            .collect(Collectors.joining(", ")));
  }
}

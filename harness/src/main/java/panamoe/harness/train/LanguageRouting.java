package panamoe.harness.train;

import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import panamoe.backend.Routes;
import panamoe.harness.corpus.LanguageLabels;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs texts of known language through a model and counts which experts their tokens are sent to.
 */
record LanguageRouting(RouteProbe reading) {
  /** The number of texts per language, enough for a resolution of about a percent. */
  private static final int TEXTS_PER_LANGUAGE = 24;

  /** The content of {@code routing.json}: for each MoE layer, tokens by language and expert. */
  String of(List<String> passages) {
    LanguageLabels labels = new LanguageLabels();
    SortedMap<String, Integer> read = new TreeMap<>();
    SortedMap<String, SortedMap<Integer, long[]>> counts = new TreeMap<>();
    for (String passage : passages) {
      String language = labels.label(passage);
      if (language.equals(LanguageLabels.UNKNOWN)
          || read.merge(language, 1, Integer::sum) > TEXTS_PER_LANGUAGE) {
        continue;
      }
      SortedMap<Integer, long[]> layers = counts.computeIfAbsent(language, _ -> new TreeMap<>());
      int[] tokens = reading.tokenizer().encode(passage);
      reading.read(tokens, (layer, routes) -> add(layers, layer, routes));
    }
    return json(counts);
  }

  private static void add(SortedMap<Integer, long[]> layers, int layer, Routes routes) {
    long[] sums = layers.computeIfAbsent(layer, _ -> new long[routes.experts()]);
    int[] counts = routes.counts().toInts();
    for (int e = 0; e < sums.length; e++) {
      sums[e] += counts[e];
    }
  }

  private static String json(SortedMap<String, SortedMap<Integer, long[]>> counts) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    counts.keySet().forEach(root.putArray("languages")::add);
    ArrayNode layers = root.putArray("layers");
    if (!counts.isEmpty()) {
      counts
          .firstEntry()
          .getValue()
          .forEach(
              (layer, sums) -> {
                ObjectNode node = layers.addObject();
                node.put("layer", layer);
                node.put("experts", sums.length);
                ArrayNode tokens = node.putArray("tokens");
                for (SortedMap<Integer, long[]> ofLanguage : counts.values()) {
                  ArrayNode row = tokens.addArray();
                  Arrays.stream(ofLanguage.get(layer)).forEach(row::add);
                }
              });
    }
    return root.toString();
  }
}

package panamoe.harness.train;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.data.Tokenizer;
import panamoe.harness.corpus.LanguageLabels;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Runs texts of known language through a model and counts which experts their tokens are sent to.
 */
final class LanguageRouting {
  /** The number of texts per language, enough for a resolution of about a percent. */
  private static final int TEXTS_PER_LANGUAGE = 24;

  private final Backend backend;
  private final LanguageModel model;
  private final Tokenizer tokenizer;
  private final LanguageLabels labels = new LanguageLabels();

  LanguageRouting(Backend backend, LanguageModel model, Tokenizer tokenizer) {
    this.backend = backend;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** The content of {@code routing.json}: for each MoE layer, tokens by language and expert. */
  String of(List<String> passages) {
    SortedMap<String, Integer> read = new TreeMap<>();
    SortedMap<String, SortedMap<Integer, long[]>> counts = new TreeMap<>();
    for (String passage : passages) {
      String language = labels.label(passage);
      if (language.equals(LanguageLabels.UNKNOWN)
          || read.merge(language, 1, Integer::sum) > TEXTS_PER_LANGUAGE) {
        continue;
      }
      SortedMap<Integer, long[]> layers = counts.computeIfAbsent(language, _ -> new TreeMap<>());
      read(passage, (layer, routes) -> add(layers, layer, routes));
    }
    return json(counts);
  }

  private void read(String passage, RouteObserver observer) {
    int[] tokens = tokenizer.encode(passage);
    int length = Math.min(tokens.length, model.config().context());
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, length).set(Arrays.copyOf(tokens, length));
      Pass pass = Pass.inference(backend, scope).observedBy(observer);
      model.forward(pass, ids, Sequences.Whole.of(scope, length, length), null, false);
    }
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

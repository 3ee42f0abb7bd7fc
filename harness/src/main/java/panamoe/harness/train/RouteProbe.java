package panamoe.harness.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.data.Tokenizer;
import panamoe.data.Utf8Stream;
import panamoe.harness.report.TokenRoutes;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Runs a trained model on text and observes its gates. Collective on ranks. */
record RouteProbe(Backend backend, LanguageModel model, Tokenizer tokenizer) {
  /** Experts per token in a report. */
  private static final int SHOWN = 2;

  /** Runs the model on tokens, at most a context. */
  void read(int[] tokens, RouteObserver observer) {
    int length = Math.min(tokens.length, model.config().context());
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, length).set(Arrays.copyOf(tokens, length));
      Pass pass = Pass.inference(backend, scope).observedBy(observer);
      model.forward(pass, ids, Sequences.Whole.of(scope, length, length), null, false);
    }
  }

  /**
   * The experts of a sequence's tokens.
   *
   * @param tokens at most the model's context
   * @param first the first reported token; earlier ones are a prompt
   * @return null for a dense model
   */
  TokenRoutes routes(int[] tokens, int first) {
    List<TokenRoutes.Layer> layers = new ArrayList<>();
    read(tokens, (layer, routes) -> layers.add(layer(layer, routes, first)));
    return layers.isEmpty() ? null : inPieces(tokens, first, layers);
  }

  private static TokenRoutes.Layer layer(int layer, Routes routes, int first) {
    int[] choice = routes.choice().toInts();
    float[] weight = routes.weight().toFloats();
    float[] score = routes.scores().toFloats();
    int topK = routes.topK();
    int experts = routes.experts();
    int tokens = Math.toIntExact(routes.tokens()) - first;
    int[][] best = new int[tokens][];
    float[][] weights = new float[tokens][];
    for (int token = 0; token < tokens; token++) {
      int row = first + token;
      Map<Integer, Float> shown = new LinkedHashMap<>();
      IntStream.range(row * topK, (row + 1) * topK)
          .boxed()
          .sorted(Comparator.comparingDouble(slot -> -weight[slot]))
          .limit(SHOWN)
          .forEach(slot -> shown.put(choice[slot], weight[slot]));
      IntStream.range(0, experts)
          .filter(expert -> !shown.containsKey(expert))
          .boxed()
          .sorted(Comparator.comparingDouble(expert -> -score[row * experts + expert]))
          .limit(Math.max(0, SHOWN - topK))
          .forEach(expert -> shown.put(expert, score[row * experts + expert]));
      best[token] = shown.keySet().stream().mapToInt(Integer::intValue).toArray();
      weights[token] = new float[shown.size()];
      int at = 0;
      for (float value : shown.values()) {
        weights[token][at++] = Math.round(1e3f * value) / 1e3f;
      }
    }
    return new TokenRoutes.Layer(layer, experts, Math.min(topK, SHOWN), best, weights);
  }

  /** A character whose bytes are spread over tokens forms one piece with all of them. */
  private TokenRoutes inPieces(int[] tokens, int first, List<TokenRoutes.Layer> layers) {
    Utf8Stream characters = first == 0 ? tokenizer.decoding() : new Utf8Stream();
    List<String> pieces = new ArrayList<>();
    List<Integer> lengths = new ArrayList<>();
    int waiting = 0;
    for (int at = first; at < tokens.length; at++) {
      waiting++;
      String piece =
          tokenizer.special(tokens[at]) + characters.append(tokenizer.bytesOf(tokens[at]));
      if (!piece.isEmpty() || at == tokens.length - 1) {
        pieces.add(at == tokens.length - 1 ? piece + characters.end() : piece);
        lengths.add(waiting);
        waiting = 0;
      }
    }
    return new TokenRoutes(pieces, lengths, layers);
  }
}

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

/** A trained model reads a text, and its gates are observed. Collective on ranks. */
record RouteProbe(Backend backend, LanguageModel model, Tokenizer tokenizer) {
  /** The experts of a token that a report tells of. */
  private static final int TOLD = 2;

  /** Reads tokens, as many as the model's context has. */
  void read(int[] tokens, RouteObserver observer) {
    int length = Math.min(tokens.length, model.config().context());
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor ids = scope.allocate(DType.INT32, length).set(Arrays.copyOf(tokens, length));
      Pass pass = Pass.inference(backend, scope).observedBy(observer);
      model.forward(pass, ids, Sequences.Whole.of(scope, length, length), null, false);
    }
  }

  /**
   * Where a text's tokens are sent.
   *
   * @param tokens no more than the model's context
   * @param first the first token that is told of; those before are a prompt
   * @return null of a dense model
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
      Map<Integer, Float> told = new LinkedHashMap<>();
      IntStream.range(row * topK, (row + 1) * topK)
          .boxed()
          .sorted(Comparator.comparingDouble(place -> -weight[place]))
          .limit(TOLD)
          .forEach(place -> told.put(choice[place], weight[place]));
      IntStream.range(0, experts)
          .filter(expert -> !told.containsKey(expert))
          .boxed()
          .sorted(Comparator.comparingDouble(expert -> -score[row * experts + expert]))
          .limit(Math.max(0, TOLD - topK))
          .forEach(expert -> told.put(expert, score[row * experts + expert]));
      best[token] = told.keySet().stream().mapToInt(Integer::intValue).toArray();
      weights[token] = new float[told.size()];
      int at = 0;
      for (float value : told.values()) {
        weights[token][at++] = Math.round(1e3f * value) / 1e3f;
      }
    }
    return new TokenRoutes.Layer(layer, experts, Math.min(topK, TOLD), best, weights);
  }

  /** A character whose bytes are spread over tokens is one piece with all of them. */
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

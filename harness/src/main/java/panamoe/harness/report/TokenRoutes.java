package panamoe.harness.report;

import java.util.List;
import panamoe.io.Require;

/**
 * The experts of the S tokens of a text.
 *
 * @param pieces the text in pieces of whole characters
 * @param lengths the tokens of each piece, mostly 1; S in all
 * @param layers the model's MoE layers, in order
 */
public record TokenRoutes(List<String> pieces, List<Integer> lengths, List<Layer> layers) {
  /**
   * An MoE layer.
   *
   * @param layer its index among all layers, from 0
   * @param experts E
   * @param sent how many of the experts below a token is routed to; the others have the next best
   *     scores
   * @param expert [S][min(2, E)], the best first
   * @param weight [S][min(2, E)], the weight of a routed expert's output, the score of another
   */
  public record Layer(int layer, int experts, int sent, int[][] expert, float[][] weight) {}

  public TokenRoutes {
    pieces = List.copyOf(pieces);
    lengths = List.copyOf(lengths);
    layers = List.copyOf(layers);
    int tokens = lengths.stream().mapToInt(Integer::intValue).sum();
    if (lengths.size() != pieces.size()) {
      throw Require.refusal("%d lengths of %d pieces of a text", lengths.size(), pieces.size());
    }
    for (Layer layer : layers) {
      if (layer.expert().length != tokens || layer.weight().length != tokens) {
        throw Require.refusal(
            "layer %d has experts of %d tokens and weights of %d, expected %d",
            layer.layer(), layer.expert().length, layer.weight().length, tokens);
      }
    }
  }
}

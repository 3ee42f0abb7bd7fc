package panamoe.plan;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.open.ExpertCounts;
import panamoe.open.ExpertHeat;

/** How unevenly tokens choose the experts of a layer. */
public sealed interface Skew {
  /** All experts are equally likely. */
  Skew EVEN = new Zipf(0);

  /**
   * For each expert of a layer, the probability that a token chooses it. They sum to k.
   *
   * @param layer index of the block in the model
   */
  double[] chosen(int layer, int experts, int topK);

  /** True if layers of equal configuration have equal probabilities. */
  default boolean alike() {
    return equals(EVEN);
  }

  /**
   * @throws IllegalArgumentException if the model has no experts, or the counts belong to another
   *     model
   */
  default void requireFits(ModelConfig config) {
    Require.that(config.hasExperts(), "the model has no experts that tokens could choose unevenly");
    for (int layer = 0; layer < config.blocks().size(); layer++) {
      if (config.blocks().get(layer).feedForward() instanceof MoeConfig moe) {
        chosen(layer, moe.experts(), moe.gate().topK());
      }
    }
  }

  /**
   * Zipf's law: the n-th most popular expert is chosen n^-exponent times as often as the first.
   * Each layer has its own random order of experts.
   */
  record Zipf(double exponent) implements Skew {
    /** Largest exponent: beyond it, nearly all tokens choose the same experts. */
    private static final double MOST = 4;

    public Zipf {
      if (!(exponent >= 0 && exponent <= MOST)) {
        throw Require.refusal(
            "the skew is %s, expected an exponent of 0 (even) to %s, or a file of counts",
            exponent, (int) MOST);
      }
    }

    @Override
    public double[] chosen(int layer, int experts, int topK) {
      double[] weights = new double[experts];
      if (exponent == 0) {
        Arrays.fill(weights, (double) topK / experts);
        return weights;
      }
      Arrays.setAll(weights, i -> Math.pow(i + 1.0, -exponent));
      shuffle(weights, new SplittableRandom(layer));
      return withoutRepeats(weights, topK);
    }

    private static void shuffle(double[] weights, SplittableRandom random) {
      for (int i = weights.length - 1; i > 0; i--) {
        int other = random.nextInt(i + 1);
        double weight = weights[i];
        weights[i] = weights[other];
        weights[other] = weight;
      }
    }

    @Override
    public String toString() {
      return exponent == 0 ? "even" : Words.of("Zipf %.2f", exponent);
    }
  }

  /**
   * Counts of a server: the response of {@code GET /v1/moe/stats}, or its file in the folder of
   * {@code --expert-cache}.
   *
   * @param file they were read from
   */
  record Measured(String file, List<ExpertHeat.Layer> layers) implements Skew {
    public Measured {
      layers = List.copyOf(layers);
      for (ExpertHeat.Layer layer : layers) {
        if (Arrays.stream(layer.tokens()).sum() <= 0) {
          throw new IllegalArgumentException(file + ": layer " + layer.layer() + " has no tokens");
        }
      }
    }

    @Override
    public double[] chosen(int layer, int experts, int topK) {
      long[] tokens =
          layers.stream()
              .filter(each -> each.layer() == layer)
              .map(ExpertHeat.Layer::tokens)
              .filter(counts -> counts.length == experts)
              .findFirst()
              .orElseThrow(
                  () ->
                      Require.refusal(
                          "%s has no counts of %d experts in layer %d: it belongs to another model",
                          file, experts, layer));
      if (Arrays.stream(tokens).filter(count -> count > 0).count() < topK) {
        throw Require.refusal(
            "%s has tokens for fewer than %d experts in layer %d, but each token chooses %2$d",
            file, topK, layer);
      }
      return upToOne(tokens, topK);
    }

    /**
     * Counts scaled to sum to k. No token chooses an expert twice, so a share above 1 is cut to 1
     * and the rest is spread over the other experts in proportion.
     */
    private static double[] upToOne(long[] counts, int topK) {
      long[] sorted = counts.clone();
      Arrays.sort(sorted);
      long left = Arrays.stream(sorted).sum();
      int choices = topK;
      for (int i = sorted.length - 1; choices * (double) sorted[i] > left; i--) {
        left -= sorted[i];
        choices--;
      }
      double scale = (double) choices / left;
      return Arrays.stream(counts).mapToDouble(count -> Math.min(1, scale * count)).toArray();
    }

    @Override
    public String toString() {
      return "counts of " + file;
    }
  }

  /**
   * Parses an exponent, or reads a file of counts.
   *
   * @throws IllegalArgumentException if it is neither, or the file is damaged
   */
  static Skew of(String text) {
    try {
      return new Zipf(Double.parseDouble(text));
    } catch (NumberFormatException e) {
      Path file = Path.of(text);
      if (text.isBlank() || !Files.exists(file)) {
        throw new IllegalArgumentException(
            "'" + text + "' is neither an exponent such as 0.5 nor a file of counts", e);
      }
      return new Measured(text, new ExpertCounts(file).read());
    }
  }

  /**
   * The inclusion probabilities of k draws without replacement, with probabilities proportional to
   * {@code weights}. Uses exponential clocks: an expert is drawn before time t with probability 1 -
   * exp(-t weight), and t is chosen so that k are drawn on average.
   */
  private static double[] withoutRepeats(double[] weights, int topK) {
    double sum = Arrays.stream(weights).sum();
    if (topK == 1) {
      return Arrays.stream(weights).map(weight -> weight / sum).toArray();
    }
    if (topK >= weights.length) {
      return IntStream.range(0, weights.length).mapToDouble(_ -> 1).toArray();
    }
    double low = 0;
    double high = 1;
    while (drawn(weights, high) < topK) {
      high *= 2;
    }
    for (int i = 0; i < 100; i++) {
      double middle = (low + high) / 2;
      if (drawn(weights, middle) < topK) {
        low = middle;
      } else {
        high = middle;
      }
    }
    double time = high;
    return Arrays.stream(weights).map(weight -> -Math.expm1(-time * weight)).toArray();
  }

  private static double drawn(double[] weights, double time) {
    return Arrays.stream(weights).map(weight -> -Math.expm1(-time * weight)).sum();
  }
}

package panamoe.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import panamoe.config.BlockConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.parallel.ExpertPlacement;

/**
 * The effect of skew on a model's last MoE layer, which has the most experts: the routes that a
 * capacity drops, and the load of the fullest rank without and with replicas of hot experts.
 *
 * @param config of a model with experts
 * @param tokens per rank, from which an expert's capacity follows
 * @param ranks upper limit of the expert-parallel degree
 */
public record SkewSweep(ModelConfig config, Skew given, long tokens, int ranks) {
  /** Capacity factors, one column each. */
  public static final List<Double> FACTORS = List.of(1.0, 1.25, 1.5, 2.0, 4.0);

  /** Numbers of expert replicas per rank, one column each. */
  public static final List<Integer> COPIES = List.of(0, 1, 2, 4);

  private static final double[] EXPONENTS = {0, 0.25, 0.5, 0.75, 1};

  /** Scale from probabilities to the whole rows that placement counts. */
  private static final double SCALE = 1e9;

  /**
   * @param dropped share of dropped routes, by capacity factor
   * @param load rows of the fullest rank over the mean, by replicas
   */
  public record Row(Skew skew, Map<Double, Double> dropped, Map<Integer, Double> load) {}

  /**
   * Rows for exponents from 0 to 1 (Zipf's law of words) and for the given skew, in order of
   * exponent.
   */
  public List<Row> rows() {
    DoubleStream exponents = DoubleStream.of(EXPONENTS);
    if (given instanceof Skew.Zipf zipf) {
      exponents = DoubleStream.concat(exponents, DoubleStream.of(zipf.exponent()));
    }
    List<Skew> skews = new ArrayList<>();
    exponents.distinct().sorted().forEach(exponent -> skews.add(new Skew.Zipf(exponent)));
    if (!skews.contains(given)) {
      skews.add(given);
    }
    List<BlockConfig> blocks = config.blocks();
    int last =
        IntStream.range(0, blocks.size())
            .filter(i -> blocks.get(i).experts() > 0)
            .max()
            .orElseThrow();
    MoeConfig moe = (MoeConfig) blocks.get(last).feedForward();
    int topK = moe.gate().topK();
    return skews.stream()
        .map(skew -> row(skew, skew.chosen(last, moe.experts(), topK), topK))
        .toList();
  }

  private Row row(Skew skew, double[] chosen, int topK) {
    Map<Double, Double> dropped = new LinkedHashMap<>();
    FACTORS.forEach(factor -> dropped.put(factor, dropped(chosen, topK, factor)));
    Map<Integer, Double> load = new LinkedHashMap<>();
    COPIES.forEach(copies -> load.put(copies, load(chosen, copies)));
    return new Row(skew, dropped, load);
  }

  private double dropped(double[] chosen, int topK, double factor) {
    long capacity = GateConfig.deepSpeed(topK, factor, 1).capacity(tokens, chosen.length, true);
    return new ExpertLoad(chosen, topK, 1).withCapacity(tokens, capacity).dropped();
  }

  private double load(double[] chosen, int copies) {
    int places = Math.min(ranks, chosen.length);
    long[] rows = Arrays.stream(chosen).mapToLong(p -> Math.round(SCALE * p)).toArray();
    ExpertPlacement placement =
        ExpertPlacement.even(chosen.length, places).withCopies(rows, copies);
    return IntStream.range(0, places)
            .mapToDouble(rank -> placement.rowsOf(rank, rows))
            .max()
            .orElseThrow()
        * places
        / Arrays.stream(rows).sum();
  }
}

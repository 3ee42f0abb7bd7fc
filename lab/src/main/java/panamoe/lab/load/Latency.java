package panamoe.lab.load;

import java.util.Arrays;
import java.util.Locale;
import panamoe.comm.Traffic;
import panamoe.comm.exchange.Strategy;
import panamoe.io.Words;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * The time of a decode step over ranks; {@code --json} prints it as one flat object per line.
 *
 * @param stepMs median step, in which each sequence gets a token
 * @param exchangeShare share of the ranks' time in exchanges, including waits
 * @param messages that a rank sends in a step, on average
 * @param farMessages number of them to other nodes
 * @param bytes that a rank sends in a step, on average
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
record Latency(
    String model,
    int ranks,
    int expertDegree,
    int tensorDegree,
    int expertSlices,
    String exchange,
    int texts,
    double stepMs,
    double tokensPerS,
    double exchangeShare,
    long messages,
    long farMessages,
    long bytes) {

  static final String HEADER =
      "model                ranks  ep  tp slices exchange     texts   step ms"
          + "  tokens/s  exchange messages   far     bytes";

  /**
   * @param steps milliseconds of each step
   * @param sent by a rank in a step
   */
  static Latency of(
      String model,
      Ranks ranks,
      Strategy strategy,
      int texts,
      double[] steps,
      double share,
      Traffic sent) {
    Topology topology = ranks.topology();
    double median = median(steps);
    return new Latency(
        model,
        topology.ranks(),
        topology.expertDegree(),
        topology.tensorDegree(),
        topology.expertSlices(),
        strategy.name().toLowerCase(Locale.ROOT),
        texts,
        median,
        texts / median * 1e3,
        share,
        sent.nearMessages() + sent.farMessages(),
        sent.farMessages(),
        sent.nearBytes() + sent.farBytes());
  }

  /** The median without the first fifth, which is warm-up. */
  static double median(double[] steps) {
    double[] counted = Arrays.copyOfRange(steps, steps.length / 5, steps.length);
    Arrays.sort(counted);
    return counted[counted.length / 2];
  }

  String toRow() {
    return Words.of(
        "%-20s %5d %3d %3d %6d %-12s %5d %9.3f %9.1f %7.0f %% %8d %5d %9d",
        model,
        ranks,
        expertDegree,
        tensorDegree,
        expertSlices,
        exchange,
        texts,
        stepMs,
        tokensPerS,
        100 * exchangeShare,
        messages,
        farMessages,
        bytes);
  }
}

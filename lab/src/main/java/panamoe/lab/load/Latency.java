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
 * How long a step of texts takes over ranks; {@code --json} prints it as one line.
 *
 * @param stepMs the median step, in which each text gets a token
 * @param exchangeShare the part of the time that ranks spent in exchanges of rows, waiting included
 * @param messages that a rank sends in a step, in its mean
 * @param farMessages those of them to other nodes
 * @param bytes that a rank sends in a step, in its mean
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
   * @param steps milliseconds
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

  /** The median of steps without the first fifth, which warms up. */
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

package panamoe.train;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.io.Words;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The norm of a step's gradients, in total and by layer; the layer whose norm grew most hints at
 * the cause of a loss spike.
 */
final class GradientNorms {
  private static final Pattern OF_LAYER = Pattern.compile("layers\\.(\\d+)\\..*");

  private final Backend backend;
  private final Ranks ranks;
  private final List<AdamW.Moments> moments;
  private final Tensor squareSums;
  private final List<Tensor> squareSum = new ArrayList<>(); // of each parameter
  private float[] measured = {};
  private final int[] layers; // of each parameter; -1 outside of layers
  // By layer, squared, over this rank's share of the elements; summed over ranks only for a
  // message.
  private double[] latest;
  private double[] before;

  GradientNorms(Backend backend, Ranks ranks, List<AdamW.Moments> moments, TensorScope scope) {
    this.backend = backend;
    this.ranks = ranks;
    this.moments = moments;
    this.squareSums = scope.zeros(DType.FLOAT32, moments.size());
    for (int i = 0; i < moments.size(); i++) {
      squareSum.add(squareSums.rows(i, i + 1));
    }
    this.layers = moments.stream().mapToInt(each -> layer(each.parameter())).toArray();
    this.latest = new double[1 + IntStream.of(layers).max().orElse(-1)];
    this.before = new double[latest.length];
  }

  /** The global norm over all ranks; replicas count once. */
  double measure() {
    for (int i = 0; i < moments.size(); i++) {
      AdamW.Moments each = moments.get(i);
      if (each.parameter().counted() && each.count() > 0) {
        backend.squareSum(each.views().gradient(), squareSum.get(i));
      }
    }
    measured = squareSums.toFloats();
    before = latest;
    latest = new double[before.length];
    double sum = 0;
    for (int i = 0; i < moments.size(); i++) {
      double squares = measured[i];
      if (layers[i] >= 0) {
        latest[layers[i]] += squares;
      }
      sum += squares;
    }
    return Math.sqrt(ranks.world().allReduce(sum));
  }

  /**
   * The first parameter whose share on this rank has a norm that is not finite; empty if all are
   * finite.
   */
  String firstBad() {
    for (int i = 0; i < moments.size(); i++) {
      if (!Float.isFinite(measured[i])) {
        return moments.get(i).parameter().name();
      }
    }
    return "";
  }

  /**
   * A clause for a message: the layer whose norm grew most between the last two steps; empty if no
   * norm grew or only one step was measured. Collective.
   */
  String growth() {
    String most = "";
    double largest = 1;
    for (int layer = 0; layer < latest.length; layer++) {
      double from = Math.sqrt(ranks.world().allReduce(before[layer]));
      double to = Math.sqrt(ranks.world().allReduce(latest[layer]));
      if (from > 0 && to / from > largest) {
        largest = to / from;
        most = Words.of("; the gradient grew most in layer %d, from %.4f to %.4f", layer, from, to);
      }
    }
    return most;
  }

  private static int layer(Parameter parameter) {
    Matcher matcher = OF_LAYER.matcher(parameter.name());
    return matcher.matches() ? Integer.parseInt(matcher.group(1)) : -1;
  }
}

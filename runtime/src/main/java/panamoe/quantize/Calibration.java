package panamoe.quantize;

import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.DoubleConsumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.data.TokenWindows;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.op.RouteObserver;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Importance of each input column of a matrix: its mean square over a text's tokens, of an expert
 * those that are routed to it. An error in a column contributes by this factor, on average, to the
 * squared error of the outputs.
 */
public final class Calibration {
  private static final int TOKENS_AT_A_TIME = 2048;

  /**
   * The layer's mean counts like this many tokens of each expert, so that a rarely used expert is
   * not fitted to a few tokens.
   */
  private static final double PRIOR_TOKENS = 16;

  /** Least weight of a column, relative to the mean: other text may need it. */
  private static final double LEAST = 1e-3;

  /**
   * Sums for the matrices of a stack, or for one.
   *
   * @param squares of each column over the rows that a matrix was multiplied by
   * @param rows their number
   */
  record Sums(double[][] squares, long[] rows) {
    Sums(int experts, int columns) {
      this(new double[experts][columns], new long[experts]);
    }

    void add(float[] x, int[] offsets) {
      int columns = squares[0].length;
      for (int expert = 0; expert < rows.length; expert++) {
        rows[expert] += offsets[expert + 1] - offsets[expert];
        double[] sums = squares[expert];
        for (int row = offsets[expert]; row < offsets[expert + 1]; row++) {
          for (int column = 0; column < columns; column++) {
            double value = x[row * columns + column];
            sums[column] += value * value;
          }
        }
      }
    }
  }

  private final Map<String, Sums> byParameter;
  private long tokens;

  Calibration(Map<String, Sums> byParameter, long tokens) {
    this.byParameter = byParameter;
    this.tokens = tokens;
  }

  /**
   * Runs a model over a text.
   *
   * @param model loaded for inference, whole
   * @param windows at most as long as the model's context; partial ones are left out
   * @param most tokens
   * @param progress gets the finished part, 0 to 1
   * @throws IllegalArgumentException if the text does not fill a window, or a window has more than
   *     {@code most} tokens
   * @throws CancellationException if the thread is interrupted
   */
  public static Calibration of(
      Backend backend,
      LanguageModel model,
      TokenWindows windows,
      long most,
      DoubleConsumer progress) {
    Calibration calibration = new Calibration(new HashMap<>(), 0);
    Map<Tensor, Sums> byWeights = new IdentityHashMap<>();
    Set<String> rounded =
        ModelTensors.quantizedMatrices(model.config()).stream()
            .map(QuantizedMatrix::parameter)
            .collect(Collectors.toSet());
    for (Parameter parameter : model.parameters().parameters()) {
      if (rounded.contains(parameter.name())) {
        Sums sums = new Sums(parameter.matrices(), (int) parameter.matrixShape()[1]);
        calibration.byParameter.put(parameter.name(), sums);
        byWeights.put(parameter.value(), sums);
      }
    }
    RouteObserver observer =
        new RouteObserver() {
          @Override
          public void observe(int layer, Routes routes) {}

          @Override
          public void multiplied(Tensor weights, Tensor rows, Tensor offsets) {
            add(weights, rows, offsets::toInts);
          }

          @Override
          public void multiplied(Tensor weight, Tensor rows) {
            add(weight, rows, () -> new int[] {0, Math.toIntExact(rows.size(0))});
          }

          private void add(Tensor weights, Tensor rows, Supplier<int[]> offsets) {
            Sums sums = byWeights.get(weights);
            if (sums != null) {
              backend.synchronize();
              sums.add(rows.toFloats(), offsets.get());
            }
          }
        };
    int length = windows.length();
    long all = Math.min(windows.count() - 1, most / length); // the last may be padded
    if (all < 1) {
      throw new IllegalArgumentException(
          "nothing to calibrate on: the text, and what may be read of it, must fill a window of "
              + length
              + " tokens");
    }
    long atOnce = Math.max(1, TOKENS_AT_A_TIME / length);
    for (long first = 0; first < all; first += atOnce) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the calibration was interrupted");
      }
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor ids = scope.allocate(DType.INT32, Math.min(atOnce, all - first) * length);
        Tensor targets = scope.allocate(DType.INT32, ids.shape());
        windows.fill(first, ids, targets);
        Pass pass = Pass.inference(backend, scope).observedBy(observer);
        Sequences whole = Sequences.Whole.of(scope, ids.count(), length);
        Tensor hidden = model.forward(pass, ids, whole, null, false);
        observer.multiplied(model.head().weight(), hidden);
        calibration.tokens += ids.count();
      }
      progress.accept((double) Math.min(all, first + atOnce) / all);
    }
    return calibration;
  }

  /** Tokens of the text. */
  public long tokens() {
    return tokens;
  }

  /** Tokens whose rows a matrix was multiplied by. */
  public long tokens(QuantizedMatrix matrix) {
    return sums(matrix).rows[index(matrix)];
  }

  /** Whether it belongs to all tokens, or to an expert that tokens were routed to. */
  public boolean reached(QuantizedMatrix matrix) {
    return matrix.expert() < 0 || tokens(matrix) > 0;
  }

  /**
   * Weights of the squared errors of a matrix by column, above 0 and 1 on average; null if it was
   * multiplied by no row, like an embedding that is only looked up.
   */
  float[] weights(QuantizedMatrix matrix) {
    if (tokens(matrix) == 0) {
      return null;
    }
    double[] squares = withPrior(matrix);
    double mean = Arrays.stream(squares).average().orElse(0);
    float[] weights = new float[squares.length];
    for (int column = 0; column < weights.length; column++) {
      weights[column] = (float) (mean > 0 ? squares[column] / mean + LEAST : 1);
    }
    return weights;
  }

  /** The mean square of a matrix's inputs times the part of the tokens that are routed to it. */
  double energy(QuantizedMatrix matrix) {
    return seen(matrix) == 0
        ? 1
        : Arrays.stream(withPrior(matrix)).average().orElse(0) / seen(matrix);
  }

  /** Sums of squares of a matrix's inputs by column. */
  double[] squares(QuantizedMatrix matrix) {
    return sums(matrix).squares[index(matrix)].clone();
  }

  private double[] withPrior(QuantizedMatrix matrix) {
    Sums sums = sums(matrix);
    double[] squares = squares(matrix);
    double prior = PRIOR_TOKENS / Math.max(1, seen(matrix));
    for (double[] ofExpert : sums.squares) {
      for (int column = 0; column < squares.length; column++) {
        squares[column] += prior * ofExpert[column];
      }
    }
    return squares;
  }

  /** Tokens of all experts of a matrix's layer. */
  private long seen(QuantizedMatrix matrix) {
    return Arrays.stream(sums(matrix).rows).sum();
  }

  private Sums sums(QuantizedMatrix matrix) {
    return byParameter.get(matrix.parameter());
  }

  private static int index(QuantizedMatrix matrix) {
    return Math.max(0, matrix.expert());
  }
}

package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.param.Adapter;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The cost of a layer's {@link Work} on the rank that holds most. It assumes that experts of all
 * ranks get equally many rows. Counts are exact while they are below 2^53.
 *
 * <p>Activations count as memory, not as traffic: a call that bandwidth limits has few rows, which
 * stay in a cache.
 *
 * @param flops of matrix products and attention, two for each multiply-add, dropped routes
 *     included; the backward counts twice the forward
 * @param weights bytes read of weights that every token passes
 * @param experts bytes read of experts' weights
 * @param cache bytes read of the key/value cache
 * @param bytesWritten of FLOAT32 gradients of weights, and of keys and values for the cache
 * @param kept bytes of activations that the forward leaves: in training for the backward, otherwise
 *     until the scope of the pass closes
 * @param inFlight further bytes at the peak of the backward; 0 without one
 */
public record Cost(
    double flops,
    double weights,
    double experts,
    double cache,
    double bytesWritten,
    double kept,
    double inFlight) {
  public static final Cost NONE = new Cost(0, 0, 0, 0, 0);

  /** A cost without experts and cache. */
  public Cost(double flops, double weights, double bytesWritten, double kept, double inFlight) {
    this(flops, weights, 0, 0, bytesWritten, kept, inFlight);
  }

  /** Attention over a cache, which adds {@code written} bytes to it. */
  static Cost cache(Work work, AttentionConfig attention, double written) {
    double each =
        attention.cacheBytes(work.cached(), work.length(), work.tensorRanks(), work.dtype());
    return new Cost(0, 0, 0, work.sequences() * each, written, 0, 0);
  }

  /** Products of rows with matrices of {@code elements} elements in total. */
  public static Cost products(Work work, double rows, double elements) {
    return new Cost(2 * rows * elements * (work.training() ? 3 : 1), 0, 0, 0, 0);
  }

  /**
   * A linear layer without reading its weights: {@code rows} rows [inputs] to [outputs], then the
   * activation.
   *
   * @param output dtype of its output
   */
  public static Cost linear(
      Work work, double rows, double inputs, double outputs, Activation activation, DType output) {
    double y = rows * outputs / activation.inputsPerOutput() * output.bytes();
    boolean saves = work.training() && !activation.equals(Activation.IDENTITY);
    double preactivation = saves ? rows * outputs * output.bytes() : 0;
    double dx = rows * inputs * work.dtype().bytes();
    return products(work, rows, inputs * outputs)
        .then(activations(work, y + preactivation, y + dx));
  }

  /**
   * What an adapter adds to {@link #linear}; nothing without one. Its two products, the gradient
   * that it adds to the rows' gradient, and what dropout keeps.
   *
   * @param matrix of {@code inputs} columns that may have an adapter
   * @param output dtype of the linear layer's output
   */
  public static Cost adapter(
      Work work, double rows, double inputs, double outputs, Parameter matrix, DType output) {
    Adapter adapter = matrix.adapter();
    if (adapter == null) {
      return NONE;
    }
    long[] a = adapter.a().matrixShape();
    double rank = a[a.length - 2];
    double x = rows * inputs * work.dtype().bytes();
    double y = rows * outputs * output.bytes();
    double dropped = adapter.dropout() > 0 ? x + rows * inputs * DType.FLOAT32.bytes() : 0;
    boolean kept = work.training();
    return products(work, rows, rank * (inputs + outputs))
        .then(
            activations(
                work,
                2 * rows * rank * work.dtype().bytes() + (kept ? dropped : y),
                y + 2 * x + dropped));
  }

  /** A rank's part of a parameter; nothing for null. */
  public static Cost weights(Work work, Parameter parameter) {
    return parameter == null ? NONE : weights(work, parameter, parameter.value());
  }

  /** Like {@link #weights(Work, Parameter)}, of a parameter that is read from {@code held}. */
  public static Cost weights(Work work, Parameter parameter, Tensor held) {
    return weights(work, parameter, held, 1);
  }

  /** A parameter of experts, {@code hit} of which are read. */
  public static Cost experts(Work work, Parameter parameter, double hit) {
    if (parameter == null) {
      return NONE;
    }
    Cost read = weights(work, parameter, parameter.value(), hit);
    return new Cost(0, 0, read.weights, 0, read.bytesWritten, 0, 0);
  }

  private static Cost weights(Work work, Parameter parameter, Tensor value, double read) {
    double elements = read * Tensor.count(parameter.matrixShape(work.topology()));
    // The dtype that kernels read: the work's, unless the parameter is in blocks.
    DType held =
        value != null && value.dtype().isBlocks()
            ? value.dtype()
            : parameter.valueDType(work.dtype());
    double blocks = elements / held.blockElements();
    boolean several = value != null && !value.matrices().isEmpty();
    double bytes =
        several
            ? read * value.bytes() / value.size(0)
            : blocks * held.packedBytes(held.blockElements());
    double gradients = work.training() ? parameter.count(work.topology()) : 0;
    return new Cost(0, bytes * (work.training() ? 2 : 1), gradients * DType.FLOAT32.bytes(), 0, 0);
  }

  /**
   * @param kept bytes that stay after the forward
   * @param inFlight bytes of gradients that the backward holds at once
   */
  public static Cost activations(Work work, double kept, double inFlight) {
    return new Cost(0, 0, 0, kept, work.training() ? inFlight : 0);
  }

  /** A skip connection's sum [S, {@code width}]. */
  public static Cost sum(Work work, long width) {
    return activations(work, work.bytes(width), 2 * work.bytes(width));
  }

  /** A product with a factor [S, {@code width}]; none if {@code factor} is null. */
  public static Cost scaled(Work work, Double factor, long width) {
    return factor == null ? NONE : activations(work, work.bytes(width), 0);
  }

  /** The sum of this and {@code next}, whose backwards run in sequence. */
  public Cost then(Cost next) {
    return add(next, 1, Math.max(inFlight, next.inFlight));
  }

  /** The sum of this and {@code other}; the backward holds the gradients of both at once. */
  public Cost parallel(Cost other) {
    return add(other, 1, inFlight + other.inFlight);
  }

  /** This without {@code part}; what is in flight stays. */
  public Cost without(Cost part) {
    return add(part, -1, inFlight);
  }

  private Cost add(Cost other, int times, double together) {
    return new Cost(
        flops + times * other.flops,
        weights + times * other.weights,
        experts + times * other.experts,
        cache + times * other.cache,
        bytesWritten + times * other.bytesWritten,
        kept + times * other.kept,
        together);
  }

  /**
   * This with a backward that recomputes the forward.
   *
   * @param boundary bytes of the output, all that is kept until then
   */
  public Cost recomputed(double boundary) {
    // A training step has the FLOPs of three forwards, and reads weights twice.
    return new Cost(
        flops / 3 * 4,
        weights / 2 * 3,
        experts / 2 * 3,
        cache,
        bytesWritten,
        boundary,
        kept + inFlight);
  }

  /** Bytes read of weights and of the cache. */
  public double bytesRead() {
    return weights + experts + cache;
  }

  /** Bytes read and written. */
  public double bytes() {
    return bytesRead() + bytesWritten;
  }
}

package panamoe.nn;

import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * What a layer's {@link Work} takes on the rank that holds most. The experts of every rank get
 * equally many rows. Counts are exact while they are below 2^53.
 *
 * <p>Activations count as memory, not as traffic: where bandwidth limits a call, its rows are few
 * and stay in a cache.
 *
 * @param flops of matrix products and attention, two for each multiply-add, dropped routes
 *     included; the backward counts twice the forward
 * @param weights bytes read of weights that every token passes
 * @param experts bytes read of experts' weights
 * @param cache bytes read of the key/value cache
 * @param bytesWritten of FLOAT32 gradients of weights, and of keys and values for the cache
 * @param kept bytes of activations that the forward leaves: in training for the backward, otherwise
 *     until the scope of the pass closes
 * @param inFlight bytes beside them at the deepest point of the backward; 0 without one
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

  /** Of what reads no experts and no cache. */
  public Cost(double flops, double weights, double bytesWritten, double kept, double inFlight) {
    this(flops, weights, 0, 0, bytesWritten, kept, inFlight);
  }

  /** A cache whose keys and values attention reads, and adds {@code written} bytes to. */
  static Cost cache(Work work, AttentionConfig attention, double written) {
    double each =
        attention.cacheBytes(work.cached(), work.length(), work.tensorRanks(), work.dtype());
    return new Cost(0, 0, 0, work.sequences() * each, written, 0, 0);
  }

  /** Rows that are multiplied by matrices of {@code elements} elements together. */
  public static Cost products(Work work, double rows, double elements) {
    return new Cost(2 * rows * elements * (work.training() ? 3 : 1), 0, 0, 0, 0);
  }

  /**
   * A linear layer without its weights: {@code rows} rows [inputs] to [outputs], then the
   * activation.
   *
   * @param output dtype of what it returns
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

  /** What a rank holds of a parameter, or of null. */
  public static Cost weights(Work work, Parameter parameter) {
    return weights(work, parameter, 1);
  }

  /** A parameter of experts, of which {@code hit} are read. */
  public static Cost experts(Work work, Parameter parameter, double hit) {
    Cost read = weights(work, parameter, hit);
    return new Cost(0, 0, read.weights, 0, read.bytesWritten, 0, 0);
  }

  private static Cost weights(Work work, Parameter parameter, double read) {
    if (parameter == null) {
      return NONE;
    }
    double elements = read * Tensor.count(parameter.matrixShape(work.topology()));
    DType held = held(work, parameter);
    double blocks = elements / held.blockElements();
    double gradients = work.training() ? parameter.count(work.topology()) : 0;
    return new Cost(
        0,
        blocks * held.packedBytes(held.blockElements()) * (work.training() ? 2 : 1),
        gradients * DType.FLOAT32.bytes(),
        0,
        0);
  }

  /** The dtype that kernels read: the work's, unless the parameter is held in blocks. */
  private static DType held(Work work, Parameter parameter) {
    Tensor value = parameter.value();
    return value != null && value.dtype().isBlocks()
        ? value.dtype()
        : parameter.valueDType(work.dtype());
  }

  /**
   * @param kept bytes that stay after the forward
   * @param inFlight bytes of the gradients that the backward holds at a time
   */
  public static Cost activations(Work work, double kept, double inFlight) {
    return new Cost(0, 0, 0, kept, work.training() ? inFlight : 0);
  }

  /** A skip connection's sum [S, {@code width}]. */
  public static Cost sum(Work work, long width) {
    return activations(work, work.bytes(width), 2 * work.bytes(width));
  }

  /** The sum of this and {@code next}, whose backwards run one after the other. */
  public Cost then(Cost next) {
    return add(next, 1, Math.max(inFlight, next.inFlight));
  }

  /** The sum of this and {@code other}; the backward holds the gradients of both at a time. */
  public Cost beside(Cost other) {
    return add(other, 1, inFlight + other.inFlight);
  }

  /** What is left of this without {@code part}; as much is in flight. */
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
   * The same with a backward that computes the forward a second time.
   *
   * @param boundary bytes of the output, all that stays until then
   */
  public Cost recomputed(double boundary) {
    // A training step's FLOPs are three forwards; it reads weights forwards and backwards.
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

  /** Bytes read and written together. */
  public double bytes() {
    return bytesRead() + bytesWritten;
  }
}

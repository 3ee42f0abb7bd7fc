package panamoe.nn;

import panamoe.backend.Activation;
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
 * @param bytesRead of weights and of the key/value cache
 * @param bytesWritten of FLOAT32 gradients of weights, and of keys and values for the cache
 * @param kept bytes of activations that the forward leaves: in training for the backward, otherwise
 *     until the scope of the pass closes
 * @param inFlight bytes beside them at the deepest point of the backward; 0 without one
 */
public record Cost(
    double flops, double bytesRead, double bytesWritten, double kept, double inFlight) {
  public static final Cost NONE = new Cost(0, 0, 0, 0, 0);

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

  /** The cost of a parameter of which {@code read} matrices (experts) are read. */
  public static Cost weights(Work work, Parameter parameter, double read) {
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
    return add(next, Math.max(inFlight, next.inFlight));
  }

  /** The sum of this and {@code other}; the backward holds the gradients of both at a time. */
  public Cost beside(Cost other) {
    return add(other, inFlight + other.inFlight);
  }

  private Cost add(Cost other, double together) {
    return new Cost(
        flops + other.flops,
        bytesRead + other.bytesRead,
        bytesWritten + other.bytesWritten,
        kept + other.kept,
        together);
  }

  /**
   * The same with a backward that computes the forward a second time.
   *
   * @param boundary bytes of the output, all that stays until then
   */
  public Cost recomputed(double boundary) {
    // A training step's FLOPs are three forwards; it reads weights forwards and backwards.
    return new Cost(flops / 3 * 4, bytesRead / 2 * 3, bytesWritten, boundary, kept + inFlight);
  }

  /** Bytes read and written together. */
  public double bytes() {
    return bytesRead + bytesWritten;
  }
}

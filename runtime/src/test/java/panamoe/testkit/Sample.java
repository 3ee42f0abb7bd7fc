package panamoe.testkit;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorMemory;
import panamoe.tensor.TensorScope;

/**
 * Random tensors, determined by the seed and the sequence of calls, so that two backends get equal
 * inputs from samples of one seed. Owns its tensors' scope.
 */
public final class Sample implements AutoCloseable {
  /** Types whose elements can be read and set one by one. */
  public static final List<DType> ELEMENTS =
      Arrays.stream(DType.values()).filter(dtype -> !dtype.isBlocks()).toList();

  private final TensorScope scope;
  private final Random random;

  public Sample(TensorMemory memory, long seed) {
    scope = TensorScope.confined(memory);
    random = new Random(seed);
  }

  public TensorScope scope() {
    return scope;
  }

  /** A copy of a tensor that may be another backend's. */
  public static Tensor copy(TensorScope scope, Tensor tensor) {
    return scope.allocate(tensor.dtype(), tensor.shape()).copyFrom(HostView.elements(tensor));
  }

  /** Normal numbers, mean 0 and standard deviation 1. */
  public Tensor normal(DType dtype, long... shape) {
    Tensor tensor = scope.allocate(dtype, shape);
    float[] values = new float[(int) tensor.count()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return tensor.set(values);
  }

  public Tensor normal(long... shape) {
    return normal(DType.FLOAT32, shape);
  }

  /**
   * Numbers at least 0.25 away from 0, so that a finite difference does not cross an activation's
   * kink.
   */
  public Tensor awayFromZero(long... shape) {
    Tensor tensor = normal(shape);
    float[] values = tensor.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] += Math.copySign(0.25f, values[i]);
    }
    return tensor.set(values);
  }

  /** Each row is a shuffle of 0, 0.6, 1.2, ..., so that a small step does not change the order. */
  public Tensor separated(long rows, int width) {
    float[] values = new float[(int) rows * width];
    for (int r = 0; r < rows; r++) {
      int[] order = shuffled(width);
      for (int i = 0; i < width; i++) {
        values[r * width + i] = 0.6f * order[i];
      }
    }
    return scope.allocate(DType.FLOAT32, rows, width).set(values);
  }

  /** INT32 numbers in [low, high). */
  public Tensor integers(int low, int high, long... shape) {
    Tensor tensor = scope.allocate(DType.INT32, shape);
    int[] values = new int[(int) tensor.count()];
    Arrays.setAll(values, _ -> random.nextInt(low, high));
    return tensor.set(values);
  }

  public Tensor integers(int[] values) {
    return scope.allocate(DType.INT32, values.length).set(values);
  }

  public Tensor floats(float[] values, long... shape) {
    return scope.allocate(DType.FLOAT32, shape).set(values);
  }

  /** UINT8 marks, 1 with this probability. */
  public Tensor marks(double probability, long count) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextDouble() < probability ? 1 : 0;
    }
    return scope.allocate(DType.UINT8, count).set(values);
  }

  /**
   * Offsets [groups + 1] of {@code rows} rows, split at random: groups are uneven, some may be
   * empty.
   */
  public Tensor offsets(int groups, int rows) {
    int[] cuts = new int[groups + 1];
    for (int g = 1; g < groups; g++) {
      cuts[g] = random.nextInt(rows + 1);
    }
    cuts[groups] = rows;
    Arrays.sort(cuts);
    return integers(cuts);
  }

  /** A tensor full of NaN, which a kernel must overwrite. */
  public Tensor unset(DType dtype, long... shape) {
    Tensor tensor = scope.allocate(dtype, shape);
    float[] values = new float[(int) tensor.count()];
    Arrays.fill(values, Float.NaN);
    return tensor.set(values);
  }

  public Tensor unset(long... shape) {
    return unset(DType.FLOAT32, shape);
  }

  public int between(int low, int high) {
    return random.nextInt(low, high + 1);
  }

  public double uniform() {
    return random.nextDouble();
  }

  @Override
  public void close() {
    scope.close();
  }

  private int[] shuffled(int count) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}

package panamoe.lab.conformance.replay;

import java.util.Arrays;

/**
 * A permutation of an array's axes, like NumPy's {@code reshape(shape).transpose(order)}. Peers
 * store weights and activations in many layouts.
 *
 * @param shape before; null for the identity
 * @param order for each new axis, the old axis
 */
public record Axes(int[] shape, int[] order) {
  /** The identity. */
  public static final Axes SAME = new Axes(null, null);

  /** The old shape; {@link #as} sets the order. */
  public static Axes of(int... shape) {
    return new Axes(shape, null);
  }

  /** Sets, for each new axis, the old axis. */
  public Axes as(int... newOrder) {
    return new Axes(shape, newOrder);
  }

  /** The elements in the new order. */
  public float[] ordered(float[] values) {
    if (shape == null) {
      return values.clone();
    }
    int[] from = places(values.length);
    return Layouts.floats(from.length, i -> values[from[i]]);
  }

  /** Inverse of {@link #ordered}. */
  public float[] restored(float[] ordered) {
    if (shape == null) {
      return ordered.clone();
    }
    int[] to = places(ordered.length);
    float[] result = new float[to.length];
    for (int i = 0; i < to.length; i++) {
      result[to[i]] = ordered[i];
    }
    return result;
  }

  /** The old index of each new element. */
  private int[] places(int count) {
    if (Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b) != count) {
      throw new IllegalArgumentException(
          count + " numbers, expected the shape " + Arrays.toString(shape));
    }
    int[] strides = new int[shape.length];
    int stride = 1;
    for (int axis = shape.length - 1; axis >= 0; axis--) {
      strides[axis] = stride;
      stride *= shape[axis];
    }
    int[] places = new int[count];
    for (int i = 0; i < count; i++) {
      int rest = i;
      for (int at = order.length - 1; at >= 0; at--) {
        places[i] += rest % shape[order[at]] * strides[order[at]];
        rest /= shape[order[at]];
      }
    }
    return places;
  }
}

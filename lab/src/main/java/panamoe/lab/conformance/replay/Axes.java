package panamoe.lab.conformance.replay;

import java.util.Arrays;

/**
 * An array with its axes in another order, as NumPy's {@code reshape(shape).transpose(order)}:
 * peers store their weights and activations in many layouts.
 *
 * @param shape before; null: every element stays in its place
 * @param order for each axis afterwards the axis before
 */
public record Axes(int[] shape, int[] order) {
  /** Every element stays in its place. */
  public static final Axes SAME = new Axes(null, null);

  /** The shape before; {@link #as} says the order. */
  public static Axes of(int... shape) {
    return new Axes(shape, null);
  }

  /** For each axis afterwards the axis before. */
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

  /** Ordered elements back in their places. */
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

  /** Where each element of the new order was. */
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

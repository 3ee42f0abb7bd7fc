package panamoe.lab.conformance.replay;

import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import panamoe.backend.Activation;

/** Conversions between the layouts of peers. */
public final class Layouts {
  private Layouts() {}

  /** {@code count} numbers, rounded to FLOAT32. */
  public static float[] floats(int count, IntToDoubleFunction number) {
    float[] floats = new float[count];
    for (int i = 0; i < count; i++) {
      floats[i] = (float) number.applyAsDouble(i);
    }
    return floats;
  }

  /** [K, S] to [S, K]. */
  public static long[] transposed(long[] values, int rows, int columns) {
    long[] result = new long[values.length];
    Arrays.setAll(result, i -> values[i % rows * columns + i / rows]);
    return result;
  }

  /** Concatenates the parts. */
  public static float[] concatenated(float[]... parts) {
    int count = 0;
    for (float[] part : parts) {
      count += part.length;
    }
    float[] result = new float[count];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, result, at, part.length);
      at += part.length;
    }
    return result;
  }

  public static float[] scaled(float[] values, double factor) {
    return floats(values.length, i -> values[i] * factor);
  }

  /** A table [S, N] with unused rows set to 0. */
  public static float[] cleared(float[] table, boolean[] used) {
    int width = table.length / used.length;
    return floats(table.length, i -> used[i / width] ? table[i] : 0);
  }

  /** The activation of this PyTorch name. */
  public static Activation activation(String name) {
    return switch (name) {
      case "relu" -> Activation.RELU;
      case "gelu", "gelu_erf" -> Activation.GELU;
      case "gelu_tanh" -> Activation.GELU_TANH;
      case "silu" -> Activation.SILU;
      default -> throw new IllegalArgumentException("unknown activation '" + name + "'");
    };
  }
}

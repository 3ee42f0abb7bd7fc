package panamoe.api;

import java.lang.foreign.MemorySegment;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * Whom a model learns from by {@link TrainableModel#distil}: a token's loss is its cross-entropy
 * plus {@code alpha T^2 KL(softmax(t / T) || softmax(s / T))}, s and t the logits of the model and
 * of the teacher (DeepSpeed-MoE §4.2).
 *
 * @param logits t, FLOAT32 [batch, length, vocabulary], such as {@link TrainableModel#forward}
 *     gives
 * @param alpha 0 or more
 * @param temperature T, more than 0
 */
public record Teacher(MemorySegment logits, double alpha, double temperature) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks the values.
   *
   * @throws PanamoeException.BadArgument if one is null or out of range, also as a FLOAT32
   */
  public Teacher {
    Failures.run(
        () -> {
          Argument.notNull("logits", logits);
          float narrow = (float) temperature; // as kernels divide by it
          Argument.require(
              narrow >= Float.MIN_NORMAL && Float.isFinite(narrow),
              "temperature",
              temperature,
              "a FLOAT32, more than 0");
          Argument.require(
              alpha >= 0 && Float.isFinite(weight(alpha, temperature)),
              "alpha",
              alpha,
              "0 or more, and alpha T^2 a FLOAT32");
        });
  }

  /** Factor of the divergence in the loss. */
  float weight() {
    return weight(alpha, temperature);
  }

  private static float weight(double alpha, double temperature) {
    return (float) (alpha * temperature * temperature);
  }
}

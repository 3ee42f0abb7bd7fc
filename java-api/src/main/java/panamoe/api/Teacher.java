package panamoe.api;

import java.lang.foreign.MemorySegment;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * The teacher of {@link TrainableModel#distil}: a token's loss is its cross-entropy plus {@code
 * alpha T^2 KL(softmax(t / T) || softmax(s / T))}, where s and t are the logits of model and
 * teacher (DeepSpeed-MoE §4.2).
 *
 * @param logits t, FLOAT32 [batch, length, vocabulary], for example from {@link
 *     TrainableModel#forward}
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
          float narrow = (float) temperature; // kernels divide by it as a float
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

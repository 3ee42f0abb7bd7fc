package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * Rotary positions (RoFormer, arXiv 2104.09864): the first {@code size} dimensions of a head turn
 * by {@code position * base^(-2i/size)}, the others stay.
 *
 * @param base of the frequencies
 * @param size R, rotated dimensions of a head, even
 * @param pairs which dimensions turn together
 * @param scaling stretches the frequencies for long texts; null: none
 */
public record Rotary(double base, int size, Pairs pairs, @Omittable RotaryScaling scaling) {
  /** The two dimensions of the i-th pair. */
  public enum Pairs {
    /** i and i + R/2 (GPT-NeoX, Llama in Hugging Face's layout). */
    HALVES,
    /** 2i and 2i + 1 (GPT-J, DeepSeek). */
    ADJACENT
  }

  public Rotary {
    Require.that(
        base > 1 && !Double.isInfinite(base), "base is %s, expected a number above 1", base);
    Require.that(
        size >= 2 && size % 2 == 0, "size is %s, expected an even number of 2 or more", size);
    Require.present("pairs", pairs);
    if (scaling instanceof RotaryScaling.LongRope stretched) {
      Require.that(
          stretched.shortDivisors().size() == size / 2,
          "there are %s shortDivisors, expected one for each of %s pairs",
          stretched.shortDivisors().size(),
          size / 2);
    }
    if (size == 2 && scaling instanceof RotaryScaling.Dynamic) {
      throw new IllegalArgumentException("size is 2, expected 4 or more with a DYNAMIC scaling");
    }
  }

  /** Whole heads of {@code headSize}, in halves, as trained. */
  public static Rotary whole(double base, int headSize) {
    return new Rotary(base, headSize, Pairs.HALVES, null);
  }

  /** The scaling; {@link RotaryScaling#NONE} if it was left out. */
  public RotaryScaling scalingOrNone() {
    return scaling == null ? RotaryScaling.NONE : scaling;
  }
}

package panamoe.config;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.io.Require;

/**
 * Stretches rotary frequencies for contexts longer than in training. Formulas and names are those
 * of transformers' {@code modeling_rope_utils} and its {@code rope_type}.
 */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
@JsonSubTypes({
  @JsonSubTypes.Type(value = RotaryScaling.Linear.class, name = "LINEAR"),
  @JsonSubTypes.Type(value = RotaryScaling.Dynamic.class, name = "DYNAMIC"),
  @JsonSubTypes.Type(value = RotaryScaling.LongRope.class, name = "LONG_ROPE"),
  @JsonSubTypes.Type(value = RotaryScaling.Proportional.class, name = "PROPORTIONAL"),
  @JsonSubTypes.Type(value = RotaryScaling.Yarn.class, name = "YARN"),
  @JsonSubTypes.Type(value = RotaryScaling.Llama3.class, name = "LLAMA3")
})
public sealed interface RotaryScaling {
  /** Frequencies as trained: {@code base^(-2i/size)}. */
  RotaryScaling NONE = new Linear(1);

  /**
   * Angle per position of each pair [size/2].
   *
   * @param positions longest context, for {@link Dynamic}
   */
  double[] frequencies(int size, double base, int positions);

  /** Factor of cosine and sine. */
  default double amplitude() {
    return 1;
  }

  /** Positions divided by {@code factor}. */
  record Linear(double factor) implements RotaryScaling {
    public Linear {
      Require.positiveFloat("factor", factor);
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      return pairs(size, i -> trained(size, base, i) / factor);
    }
  }

  /**
   * A larger base for contexts longer than in training (NTK-aware, dynamic).
   *
   * @param trainedPositions context in training
   */
  record Dynamic(double factor, int trainedPositions) implements RotaryScaling {
    public Dynamic {
      Require.positiveFloat("factor", factor);
      Require.size("trainedPositions", trainedPositions, Require.MAX_SIZE);
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      double length = Math.max(positions, trainedPositions);
      double stretch = factor * length / trainedPositions - (factor - 1);
      double stretched = base * Math.pow(stretch, (double) size / (size - 2));
      return pairs(size, i -> trained(size, stretched, i));
    }
  }

  /**
   * LongRoPE (arXiv 2402.13753): each pair has a divisor of its own, found by search.
   *
   * @param shortDivisors [size/2], of models whose sequences are no longer than in training
   * @param longDivisors [size/2], of the others
   * @param trainedPositions length of the sequences of the training
   * @param amplitude factor of cosine and sine
   */
  record LongRope(
      List<Double> shortDivisors, List<Double> longDivisors, int trainedPositions, double amplitude)
      implements RotaryScaling {
    public LongRope {
      Require.present("shortDivisors", shortDivisors);
      Require.present("longDivisors", longDivisors);
      Require.size("trainedPositions", trainedPositions, Require.MAX_SIZE);
      Require.positiveFloat("amplitude", amplitude);
      Require.that(
          shortDivisors.size() == longDivisors.size(),
          "there are %s shortDivisors and %s longDivisors, expected as many",
          shortDivisors.size(),
          longDivisors.size());
      shortDivisors.forEach(each -> Require.positiveFloat("shortDivisors", each));
      longDivisors.forEach(each -> Require.positiveFloat("longDivisors", each));
    }

    /** {@code sqrt(1 + ln(factor) / ln(trainedPositions))}, 1 for factors up to 1. */
    public static double amplitude(double factor, int trainedPositions) {
      return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(trainedPositions));
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      List<Double> divisors = positions > trainedPositions ? longDivisors : shortDivisors;
      return pairs(size, i -> trained(size, base, i) / divisors.get(i));
    }
  }

  /**
   * Only the fastest pairs rotate, as trained; the others tell nothing of positions (Gemma 4).
   *
   * @param part of the pairs, rounded down, above 0 and at most 1
   */
  record Proportional(double part) implements RotaryScaling {
    public Proportional {
      Require.that(part > 0 && part <= 1, "part is %s, expected a number above 0, at most 1", part);
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      int rotated = (int) (part * size / 2);
      return pairs(size, i -> i < rotated ? trained(size, base, i) : 0);
    }
  }

  /**
   * YaRN (arXiv 2309.00071): slow pairs are interpolated, fast ones are unchanged, with a ramp
   * between.
   *
   * @param trainedPositions context in training
   * @param betaFast rotations over the trained context from which on a pair is unchanged
   * @param betaSlow rotations below which it is interpolated
   * @param truncate whether the ramp begins and ends at whole pairs
   * @param amplitude factor of cosine and sine: by default {@link #amplitude(double, double)} of
   *     the factor
   */
  record Yarn(
      double factor,
      int trainedPositions,
      double betaFast,
      double betaSlow,
      boolean truncate,
      double amplitude)
      implements RotaryScaling {
    public Yarn {
      Require.positiveFloat("factor", factor);
      Require.size("trainedPositions", trainedPositions, Require.MAX_SIZE);
      Require.positiveFloat("betaFast", betaFast);
      Require.positiveFloat("betaSlow", betaSlow);
      Require.positiveFloat("amplitude", amplitude);
      if (betaFast < betaSlow) {
        throw new IllegalArgumentException(
            "betaFast is " + betaFast + ", expected at least betaSlow = " + betaSlow);
      }
    }

    /** {@code 0.1 weight ln(factor) + 1}, 1 for factors up to 1. */
    public static double amplitude(double factor, double weight) {
      return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      double low = pairOfRotations(betaFast, size, base);
      double high = pairOfRotations(betaSlow, size, base);
      double from = Math.max(truncate ? Math.floor(low) : low, 0);
      double to = Math.min(truncate ? Math.ceil(high) : high, size - 1);
      double width = from == to ? 0.001 : to - from;
      return pairs(
          size,
          i -> {
            double interpolated = Math.clamp((i - from) / width, 0.0, 1.0);
            return trained(size, base, i) * (interpolated / factor + (1 - interpolated));
          });
    }

    private double pairOfRotations(double rotations, int size, double base) {
      return size * Math.log(trainedPositions / (rotations * 2 * Math.PI)) / (2 * Math.log(base));
    }
  }

  /**
   * Llama 3.1's: wavelengths above {@code trainedPositions / lowFactor} are interpolated, those
   * below {@code trainedPositions / highFactor} unchanged, with a ramp between.
   */
  record Llama3(double factor, double lowFactor, double highFactor, int trainedPositions)
      implements RotaryScaling {
    public Llama3 {
      Require.positiveFloat("factor", factor);
      Require.positiveFloat("lowFactor", lowFactor);
      Require.positiveFloat("highFactor", highFactor);
      Require.size("trainedPositions", trainedPositions, Require.MAX_SIZE);
      if (highFactor <= lowFactor) {
        throw new IllegalArgumentException(
            "highFactor is " + highFactor + ", expected more than lowFactor = " + lowFactor);
      }
    }

    @Override
    public double[] frequencies(int size, double base, int positions) {
      return pairs(
          size,
          i -> {
            double frequency = trained(size, base, i);
            double rotations = trainedPositions * frequency / (2 * Math.PI);
            double kept = Math.clamp((rotations - lowFactor) / (highFactor - lowFactor), 0.0, 1.0);
            return frequency * (kept + (1 - kept) / factor);
          });
    }
  }

  private static double trained(int size, double base, int pair) {
    return Math.pow(base, -2.0 * pair / size);
  }

  private static double[] pairs(int size, IntToDoubleFunction frequency) {
    return IntStream.range(0, size / 2).mapToDouble(frequency).toArray();
  }
}

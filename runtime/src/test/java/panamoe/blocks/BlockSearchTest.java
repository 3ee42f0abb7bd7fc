package panamoe.blocks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.tensor.DType;

/** Errors of searched scales; {@code panamoe conformance} compares them with ggml's. */
class BlockSearchTest {
  private static final int COLUMNS = 512;

  static Stream<DType> blocks() {
    return Arrays.stream(DType.values())
        .filter(DType::isBlocks)
        .filter(it -> it != DType.FP8_128); // only read
  }

  private static byte[] rounded(DType dtype, float[] x, float[] weights) {
    byte[] blocks = new byte[(int) dtype.bytes(x.length)];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment floats = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
      int columns = weights == null ? x.length : weights.length;
      dtype.blocks().search(floats, weights, columns, MemorySegment.ofArray(blocks));
    }
    return blocks;
  }

  private static float[] decoded(DType dtype, byte[] blocks) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocateFrom(ValueLayout.JAVA_BYTE, blocks);
      long count = (long) blocks.length / dtype.blockBytes() * dtype.blockElements();
      MemorySegment to = arena.allocate(ValueLayout.JAVA_FLOAT, count);
      dtype.blocks().decode(from, to);
      return to.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static float[] normal(long seed) {
    Random random = new Random(seed);
    float[] x = new float[8 * COLUMNS];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  /** The sum of squares, each with the weight of its column. */
  private static double error(float[] x, float[] y, float[] weights) {
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += weights[i % weights.length] * Math.pow((double) x[i] - y[i], 2);
    }
    return sum;
  }

  private static float[] ones() {
    float[] ones = new float[COLUMNS];
    Arrays.fill(ones, 1);
    return ones;
  }

  /**
   * Relative errors of ggml on such numbers, which are known to two digits; of Q8_64 and Q8_128 the
   * root of the mean square of 64 and 128 normal numbers' largest magnitude / (127 √12).
   */
  private static double known(DType dtype) {
    return switch (dtype) {
      case Q8_0 -> 0.0055;
      case Q8_64 -> 0.0060;
      case Q8_128 -> 0.0065;
      case Q6_K -> 0.018;
      case Q5_K -> 0.036;
      case Q5_0 -> 0.043;
      case Q4_K -> 0.073;
      case Q4_0 -> 0.087;
      case Q4_1 -> 0.078;
      case Q5_1 -> 0.038;
      case Q2_K -> 0.297;
      case Q3_K -> 0.151;
      case IQ4_NL -> 0.076;
      case IQ4_XS -> 0.077;
      case MXFP4 -> 0.117;
      default -> throw new IllegalArgumentException(dtype.toString());
    };
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void errorsOfNormalNumbersAreThoseThatAreKnownOrLess(DType dtype) {
    float[] x = normal(1);
    float[] y = decoded(dtype, rounded(dtype, x, null));
    double relative = Math.sqrt(error(x, y, ones()) / error(x, new float[x.length], ones()));
    assertTrue(relative < 1.01 * known(dtype), dtype + ": " + relative);
    assertTrue(relative > 0.8 * known(dtype), dtype + ": too good, " + relative);
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void errorsFallWhereTheyWeighLeast(DType dtype) {
    float[] x = normal(2);
    float[] weights = new float[COLUMNS];
    Random random = new Random(3);
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) Math.exp(2 * random.nextGaussian());
    }
    double without = error(x, decoded(dtype, rounded(dtype, x, null)), weights);
    double with = error(x, decoded(dtype, rounded(dtype, x, weights)), weights);
    assertTrue(with < 0.98 * without, dtype + ": " + with + " for " + without);
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void aBlockIsTheSameAmongOthers(DType dtype) {
    float[] x = normal(4);
    byte[] all = rounded(dtype, x, ones());
    byte[] last = rounded(dtype, Arrays.copyOfRange(x, x.length - COLUMNS, x.length), ones());
    assertArrayEquals(last, Arrays.copyOfRange(all, all.length - last.length, all.length));
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void whatFitsNearlyIsAndZerosStay(DType dtype) {
    float[] x = new float[COLUMNS];
    assertArrayEquals(x, decoded(dtype, rounded(dtype, x, null)), 0f);
    for (int i = 0; i < x.length; i++) {
      x[i] = i % 3 - 1; // -1, 0, 1
    }
    float[] y = decoded(dtype, rounded(dtype, x, null));
    // No level of IQ4 is another's negative, and a factor of six bits is at most 31 of 32.
    double near =
        switch (dtype) {
          case IQ4_NL -> 0.05;
          case Q3_K -> 1 / 31.0;
          case IQ4_XS -> 0.05 + 1 / 31.0;
          default -> 0.01;
        };
    for (int i = 0; i < x.length; i++) {
      assertEquals(x[i], y[i], near, dtype + " at " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void refusesWhatIsNotFinite(DType dtype) {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      float[] x = new float[COLUMNS];
      x[300] = bad;
      assertThrows(IllegalArgumentException.class, () -> rounded(dtype, x, null));
    }
  }

  @Test
  void refusesWhatAScaleDoesNotReach() {
    float[] x = new float[COLUMNS];
    x[5] = 1e30f;
    for (DType dtype : new DType[] {DType.Q8_0, DType.Q4_0, DType.Q4_K, DType.Q6_K}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> rounded(dtype, x, null));
      assertTrue(e.getMessage().contains("does not hold"), e.getMessage());
    }
  }
}

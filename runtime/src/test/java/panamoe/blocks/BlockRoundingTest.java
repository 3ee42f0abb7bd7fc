package panamoe.blocks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import panamoe.tensor.DType;

class BlockRoundingTest {
  private static final DType[] TYPES = {DType.Q8_0, DType.Q4_0};

  private static byte[] rounded(DType dtype, float... x) {
    byte[] blocks = new byte[x.length / 32 * dtype.blockBytes()];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment floats = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
      dtype.blocks().round(floats, MemorySegment.ofArray(blocks));
    }
    return blocks;
  }

  private static double scale(byte[] block) {
    return Float.float16ToFloat((short) (block[0] & 0xff | block[1] << 8));
  }

  /** Element {@code i} of the first block. */
  private static double number(DType dtype, byte[] block, int i) {
    if (dtype == DType.Q8_0) {
      return scale(block) * block[2 + i];
    }
    int two = block[2 + i % 16] & 0xff;
    return scale(block) * ((i < 16 ? two % 16 : two / 16) - 8);
  }

  /** Normal numbers, some blocks with an outlier and some tiny. */
  private static float[] block(Random random) {
    float[] x = new float[32];
    float deviation = (float) Math.pow(10, random.nextInt(7) - 5);
    for (int i = 0; i < x.length; i++) {
      x[i] = deviation * (float) random.nextGaussian();
    }
    x[random.nextInt(32)] *= random.nextInt(3) == 0 ? 20 : 1;
    return x;
  }

  /** The sum of squared errors by the plain rule. */
  private static double known(DType dtype, float[] x) {
    float most = 0;
    for (float value : x) {
      most = Math.abs(value) > Math.abs(most) ? value : most;
    }
    float d = dtype == DType.Q8_0 ? Math.abs(most) / 127 : most / -8;
    float inverse = d == 0 ? 0 : 1 / d;
    double held = Float.float16ToFloat(Float.floatToFloat16(d));
    double sum = 0;
    for (float value : x) {
      int code =
          dtype == DType.Q8_0
              ? Math.round(value * inverse)
              : Math.min(15, (int) (value * inverse + 8.5f)) - 8;
      sum += Math.pow(value - held * code, 2);
    }
    return sum;
  }

  @Test
  void errorsAreNoMoreThanByTheKnownRule() {
    Random random = new Random(1);
    for (DType dtype : TYPES) {
      for (int round = 0; round < 2000; round++) {
        float[] x = block(random);
        byte[] blocks = rounded(dtype, x);
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
          sum += Math.pow(x[i] - number(dtype, blocks, i), 2);
        }
        assertTrue(sum <= 1.000001 * known(dtype, x), dtype + ": " + sum);
      }
    }
  }

  @Test
  void codesAreTheNearestThatTheScaleHas() {
    Random random = new Random(2);
    for (DType dtype : TYPES) {
      int low = dtype == DType.Q8_0 ? -127 : -8;
      for (int round = 0; round < 300; round++) {
        float[] x = block(random);
        byte[] blocks = rounded(dtype, x);
        for (int i = 0; i < x.length; i++) {
          double nearest = Double.POSITIVE_INFINITY;
          for (int code = low; code <= (dtype == DType.Q8_0 ? 127 : 7); code++) {
            nearest = Math.min(nearest, Math.abs(x[i] - scale(blocks) * code));
          }
          double error = Math.abs(x[i] - number(dtype, blocks, i));
          assertTrue(error <= nearest * (1 + 1e-5) + 1e-12, dtype + ": " + error);
        }
      }
    }
  }

  @Test
  void aBlockIsTheSameAmongOthers() {
    Random random = new Random(3);
    float[] first = block(random);
    float[] second = block(random);
    float[] both = new float[64];
    System.arraycopy(first, 0, both, 0, 32);
    System.arraycopy(second, 0, both, 32, 32);
    for (DType dtype : TYPES) {
      byte[] expected = new byte[2 * dtype.blockBytes()];
      System.arraycopy(rounded(dtype, first), 0, expected, 0, dtype.blockBytes());
      System.arraycopy(rounded(dtype, second), 0, expected, dtype.blockBytes(), dtype.blockBytes());
      assertArrayEquals(expected, rounded(dtype, both));
    }
  }

  /** Of blocks whose sub-blocks differ in size; the best scales are close to the plain ones. */
  @Test
  void sixBitsAreNearlyAsGoodAsBySearch() {
    Random random = new Random(4);
    double plain = 0;
    double searched = 0;
    for (int round = 0; round < 200; round++) {
      float[] x = new float[256];
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) ((1 + i / 64) * random.nextGaussian());
      }
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment floats = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
        MemorySegment blocks = arena.allocate(DType.Q6_K.blockBytes());
        DType.Q6_K.blocks().round(floats, blocks);
        plain += error(x, blocks);
        DType.Q6_K.blocks().search(floats, null, 256, blocks);
        searched += error(x, blocks);
      }
    }
    assertTrue(plain >= searched && plain < 1.3 * searched, plain + " and " + searched);
  }

  private static double error(float[] x, MemorySegment blocks) {
    float[] y = new float[x.length];
    DType.Q6_K.blocks().decode(blocks, MemorySegment.ofArray(y));
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += Math.pow(x[i] - y[i], 2);
    }
    return sum;
  }

  @Test
  void zerosAndNumbersTooSmallForAScaleBecomeZero() {
    for (DType dtype : TYPES) {
      float[] x = new float[32];
      for (int i = 0; i < 32; i++) {
        assertEquals(0, Math.abs(number(dtype, rounded(dtype, x), i)));
      }
      x[5] = 1e-30f;
      assertEquals(0, Math.abs(number(dtype, rounded(dtype, x), 5)));
    }
  }

  @Test
  void refusesWhatBlocksDoNotHold() {
    for (DType dtype : TYPES) {
      for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY, 1e9f}) {
        float[] x = new float[32];
        x[31] = bad;
        x[0] = 1;
        assertThrows(IllegalArgumentException.class, () -> rounded(dtype, x));
      }
    }
    assertThrows(IllegalArgumentException.class, () -> rounded(DType.Q4_K, new float[256]));
    for (float bad : new float[] {Float.NaN, 1e9f}) {
      float[] x = new float[256];
      x[200] = bad;
      assertThrows(IllegalArgumentException.class, () -> rounded(DType.Q6_K, x));
    }
  }
}

package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;

import java.util.List;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class RandomContractTest {

  /** The known answer of Random123 for Philox 4x32-10 with counter and key zero. */
  @EveryBackend
  void uniformComesFromPhilox(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor y = sample.unset(4);
      backend.randomUniform(0, 0, y);
      long[] words = {0x6627e8d5L, 0xe169c58dL, 0xbc57ac4cL, 0x9b00dbd8L};
      for (int i = 0; i < 4; i++) {
        assertEquals((float) ((words[i] >>> 8) * 0x1p-24), y.getFloat(i));
      }
    }
  }

  @EveryBackend
  void normalComesFromPhiloxByBoxAndMuller(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor y = sample.unset(2);
      backend.randomNormal(0, 0, 10, 2, y);
      double radius = Math.sqrt(-2 * Math.log((0x6627e8d5L + 1) * 0x1p-32));
      double angle = 2 * Math.PI * (0xe169c58dL * 0x1p-32);
      assertEquals(10 + 2 * radius * Math.cos(angle), y.getFloat(0), 1e-6);
      assertEquals(10 + 2 * radius * Math.sin(angle), y.getFloat(1), 1e-6);
    }
  }

  @EveryBackend
  void numbersDependOnTheirPlaceAlone(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor whole = sample.unset(100);
      Tensor part = sample.unset(39);
      backend.randomUniform(42, 7, whole);
      backend.randomUniform(42, 7 + 11, part);
      assertSameBits(whole.rows(11, 50), part);
      backend.randomNormal(42, 7, 0, 1, whole);
      backend.randomNormal(42, 7 + 11, 0, 1, part);
      assertSameBits(whole.rows(11, 50), part);
    }
  }

  /** Mean and variance of 100,000 numbers lie within four standard errors. */
  @EveryBackend
  void momentsAreRight(Backend backend) {
    int count = 100_000;
    try (Sample sample = new Sample(backend, 4)) {
      Tensor y = sample.unset(count);
      backend.randomUniform(99, 0, y);
      assertMoments(y, 0.5, 1.0 / 12, Math.sqrt(1.0 / 180));
      backend.randomNormal(99, 0, -1, 3, y);
      assertMoments(y, -1, 9, 9 * Math.sqrt(2));
    }
  }

  @EveryBackend
  void bfloat16StaysBelowOne(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Tensor y = sample.unset(DType.BFLOAT16, 10_000);
      backend.randomUniform(5, 0, y);
      for (int i = 0; i < y.count(); i++) {
        assertTrue(y.getFloat(i) >= 0 && y.getFloat(i) < 1);
      }
    }
  }

  @EveryBackend
  void gumbelComesFromTheUniformNumber(Backend backend) {
    try (Sample sample = new Sample(backend, 9)) {
      Tensor uniform = sample.unset(1000);
      Tensor gumbel = sample.unset(1000);
      backend.randomUniform(3, 5, uniform);
      backend.randomGumbel(3, 5, gumbel);
      for (int i = 0; i < 1000; i++) {
        assertEquals(-Math.log(-Math.log(uniform.getFloat(i))), gumbel.getFloat(i), 1e-6);
      }
    }
  }

  /** Equal bits on all backends and for all dtypes. */
  @EveryBackend
  void jitterIsAProductWithTheUniformNumber(Backend backend) {
    for (DType from : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      for (DType to : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
        try (Sample sample = new Sample(backend, 10)) {
          Tensor uniform = sample.unset(1001);
          Tensor x = sample.normal(from, 1001);
          Tensor y = sample.unset(to, 1001);
          backend.randomUniform(3, 6, uniform);
          backend.jitter(3, 6, 0.01f, x, y);
          for (int i = 0; i < 1001; i++) {
            float product = x.getFloat(i) * (1 - 0.01f + 2 * 0.01f * uniform.getFloat(i));
            float rounded =
                to == DType.FLOAT32 ? product : BFloat16.toFloat(BFloat16.fromFloat(product));
            assertEquals(rounded, y.getFloat(i));
          }
        }
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    long seed = 0xfedcba9876543210L;
    assertAgrees(backend, 6, 0, (on, sample) -> List.of(uniform(on, sample, seed, -3)));
    assertAgrees(backend, 6, 1e-7, (on, sample) -> List.of(normal(on, sample, seed, -3)));
    assertAgrees(backend, 6, 1e-7, (on, sample) -> List.of(gumbel(on, sample, seed, -3)));
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    assertThreadInvariant(
        backend,
        7,
        (on, sample) ->
            List.of(uniform(on, sample, 1, 2), normal(on, sample, 1, 2), gumbel(on, sample, 1, 2)));
  }

  @EveryBackend
  void refusesADeviationThatIsNoNumber(Backend backend) {
    try (Sample sample = new Sample(backend, 8)) {
      Tensor y = sample.unset(4);
      assertRefused("deviation is nan", () -> backend.randomNormal(0, 0, 0, Float.NaN, y));
      assertRefused("y is null", () -> backend.randomUniform(0, 0, null));
      assertRefused("epsilon is 1", () -> backend.jitter(0, 0, 1, y, y));
    }
  }

  private static Tensor uniform(Backend on, Sample sample, long seed, long offset) {
    Tensor y = sample.unset(20_011);
    on.randomUniform(seed, offset, y);
    return y;
  }

  private static Tensor normal(Backend on, Sample sample, long seed, long offset) {
    Tensor y = sample.unset(20_011);
    on.randomNormal(seed, offset, 0.5f, 0.02f, y);
    return y;
  }

  private static Tensor gumbel(Backend on, Sample sample, long seed, long offset) {
    Tensor y = sample.unset(20_011);
    on.randomGumbel(seed, offset, y);
    return y;
  }

  private static void assertMoments(
      Tensor y, double mean, double variance, double deviationOfSquares) {
    double sum = 0;
    double squares = 0;
    for (float value : y.toFloats()) {
      sum += value;
      squares += (value - mean) * (value - mean);
    }
    double root = Math.sqrt(y.count());
    assertEquals(mean, sum / y.count(), 4 * Math.sqrt(variance) / root);
    assertEquals(variance, squares / y.count(), 4 * deviationOfSquares / root);
  }
}

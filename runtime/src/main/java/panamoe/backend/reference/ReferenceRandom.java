package panamoe.backend.reference;

import panamoe.backend.ElementwiseKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Random numbers that depend on the seed and the index n = offset + i alone: element n is word
 * {@code n % 4} of the Philox block with key (low, high word of seed) and counter (low, high word
 * of {@code n / 4}, 0, 0).
 */
interface ReferenceRandom extends ElementwiseKernels, ReferenceContext {

  /** {@code (word >> 8) / 2^24}; truncated, not rounded, to bfloat16, so that it stays below 1. */
  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch(
        () -> {
          Check.elements("y", y, Kind.FLOATING, Check.ANY);
          for (long i = 0; i < y.count(); i++) {
            float uniform = uniform(seed, offset + i);
            boolean cut = y.dtype() == DType.BFLOAT16;
            y.setFloat(
                i,
                cut
                    ? Float.intBitsToFloat(Float.floatToRawIntBits(uniform) & 0xffff0000)
                    : uniform);
          }
        });
  }

  /**
   * Box and Muller: lanes (0, 1) and (2, 3) of a block pair up as (a, b); {@code r = sqrt(-2 ln((a
   * + 1) / 2^32))}, the even lane is {@code r cos(2 pi b / 2^32)}, the odd one {@code r sin(2 pi b
   * / 2^32)}.
   */
  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch(
        () -> {
          Check.finite("mean", mean);
          Check.finite("deviation", deviation);
          Check.elements("y", y, Kind.FLOATING, Check.ANY);
          for (long i = 0; i < y.count(); i++) {
            long n = offset + i;
            double radius = Math.sqrt(-2 * Math.log((word(seed, n & ~1L) + 1) * 0x1p-32));
            double angle = 2 * Math.PI * (word(seed, n | 1L) * 0x1p-32);
            double z = radius * ((n & 1) == 0 ? Math.cos(angle) : Math.sin(angle));
            y.setFloat(i, (float) (mean + deviation * z));
          }
        });
  }

  /** {@code -ln(-ln u)} of the uniform number, or of the least normal float where that is 0. */
  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch(
        () -> {
          Check.elements("y", y, Kind.FLOATING, Check.ANY);
          for (long i = 0; i < y.count(); i++) {
            double u = Math.max(uniform(seed, offset + i), Float.MIN_NORMAL);
            y.setFloat(i, (float) -Math.log(-Math.log(u)));
          }
        });
  }

  /** Rounds to float32 after each operation, as all backends do. */
  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch(
        () -> {
          Check.require(
              epsilon >= 0 && epsilon < 1,
              "epsilon is " + epsilon + ", expected at least 0 and below 1");
          Check.elements("x", x, Kind.FLOATING, Check.ANY);
          Check.elements("y", y, Kind.FLOATING, x.count());
          Check.disjointOrSame("y", y, "x", x);
          for (long i = 0; i < y.count(); i++) {
            float factor = 1 - epsilon + 2 * epsilon * uniform(seed, offset + i);
            y.setFloat(i, x.getFloat(i) * factor);
          }
        });
  }

  private static float uniform(long seed, long n) {
    return (float) ((word(seed, n) >>> 8) * 0x1p-24);
  }

  /** The unsigned 32-bit word of index n. */
  private static long word(long seed, long n) {
    return Integer.toUnsignedLong(Philox.block(seed, n >>> 2)[(int) (n & 3)]);
  }
}

package panamoe.blocks;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A scale, float32 (4), then 128 floats of eight bits (E4M3): 4 bits of exponent, 3 of mantissa, no
 * infinities; NaN is 0x7f and 0xff. Files have the scales in tensors of their own.
 */
public final class FP8 extends BlockFormat {
  private static final float[] VALUES = values();
  private static final int NAN = 0x7f;
  private static final ValueLayout.OfFloat SCALE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public FP8() {
    super("FP8_128", -1, 128, 132, 128);
  }

  private static float[] values() {
    float[] values = new float[256];
    for (int bits = 0; bits < values.length; bits++) {
      int exponent = bits >> 3 & 15;
      int mantissa = bits & 7;
      float magnitude =
          exponent == 0
              ? Math.scalb(mantissa, -9)
              : (bits & NAN) == NAN ? Float.NaN : Math.scalb(8 + mantissa, exponent - 10);
      values[bits] = bits < 128 ? magnitude : -magnitude;
    }
    return values;
  }

  /** The number of eight bits. */
  public static float value(byte bits) {
    return VALUES[bits & 255];
  }

  @Override
  public boolean roundsRows() {
    return false;
  }

  @Override
  void codes(byte[] block, int[] codes) {
    throw new UnsupportedOperationException("codes are no whole numbers");
  }

  @Override
  public void decode(MemorySegment from, MemorySegment to) {
    for (long i = 0; i < to.byteSize() / Float.BYTES; i++) {
      long block = i / elements() * bytes();
      byte code = from.get(ValueLayout.JAVA_BYTE, block + Float.BYTES + i % elements());
      float value = VALUES[code & 255] * from.get(SCALE, block);
      to.set(ValueLayout.JAVA_FLOAT_UNALIGNED, i * Float.BYTES, value);
    }
  }

  /** From 2^118 on 448 times the scale may be infinite. */
  @Override
  public boolean mayHoldNonFinite(MemorySegment data) {
    boolean found = false;
    for (long block = 0; block < data.byteSize(); block += bytes()) {
      found |= !(Math.abs(data.get(SCALE, block)) < 0x1p118f);
      for (int i = Float.BYTES; i < bytes(); i++) {
        found |= (data.get(ValueLayout.JAVA_BYTE, block + i) & NAN) == NAN;
      }
    }
    return found;
  }
}

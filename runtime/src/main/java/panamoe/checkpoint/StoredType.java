package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import panamoe.tensor.DType;

/** The readable element types of a safetensors file; the constants have the header's names. */
public enum StoredType {
  F64(8),
  F32(4),
  F16(2),
  BF16(2),
  /** 4 bits of exponent, 3 of mantissa, no infinities; NaN is 0x7f and 0xff. */
  F8_E4M3(1),
  I64(8),
  I32(4),
  I16(2),
  U8(1),
  I8(1),
  BOOL(1);

  private static final ValueLayout.OfShort LITTLE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final float[] EIGHT_BITS = eightBits();

  private final int bytes;

  StoredType(int bytes) {
    this.bytes = bytes;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  public boolean isFloating() {
    return this == F64 || this == F32 || this == F16 || this == BF16 || this == F8_E4M3;
  }

  /** The type of that name in a header; empty if it is unknown or unsupported. */
  static Optional<StoredType> named(String name) {
    return Arrays.stream(values()).filter(type -> type.name().equals(name)).findFirst();
  }

  static StoredType of(DType dtype) {
    return valueOf(dtype.safetensorsName());
  }

  /** The tensor dtype with the same bits per element; empty if a conversion would be needed. */
  public Optional<DType> sameBits() {
    return switch (this) {
      case F32 -> Optional.of(DType.FLOAT32);
      case BF16 -> Optional.of(DType.BFLOAT16);
      case I32 -> Optional.of(DType.INT32);
      case U8, BOOL -> Optional.of(DType.UINT8);
      case I8 -> Optional.of(DType.INT8);
      case F64 -> Optional.of(DType.FLOAT64);
      case F16, F8_E4M3, I64, I16 -> Optional.empty();
    };
  }

  /** Whether {@link #decode} reads it. */
  public boolean decodes() {
    return this == F16 || this == F8_E4M3;
  }

  /**
   * The values of stored elements, each exactly.
   *
   * @param stored as in the file
   * @param floats FLOAT32, filled
   * @throws UnsupportedOperationException unless this {@link #decodes}
   */
  public void decode(MemorySegment stored, MemorySegment floats) {
    long count = floats.byteSize() / Float.BYTES;
    switch (this) {
      case F16 -> {
        for (long i = 0; i < count; i++) {
          float value = Float.float16ToFloat(stored.get(LITTLE_SHORT, i * Short.BYTES));
          floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        }
      }
      case F8_E4M3 -> {
        for (long i = 0; i < count; i++) {
          float value = EIGHT_BITS[stored.get(ValueLayout.JAVA_BYTE, i) & 0xff];
          floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        }
      }
      default -> throw new UnsupportedOperationException(this + " is not decoded");
    }
  }

  private static float[] eightBits() {
    float[] values = new float[256];
    for (int bits = 0; bits < values.length; bits++) {
      int exponent = bits >> 3 & 0xf;
      int mantissa = bits & 7;
      float magnitude =
          exponent == 0
              ? Math.scalb(mantissa, -9)
              : (bits & 0x7f) == 0x7f ? Float.NaN : Math.scalb(8 + mantissa, exponent - 10);
      values[bits] = bits < 128 ? magnitude : -magnitude;
    }
    return values;
  }
}

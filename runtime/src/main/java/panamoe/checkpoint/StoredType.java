package panamoe.checkpoint;

import java.util.Arrays;
import java.util.Optional;
import panamoe.tensor.DType;

/** The readable element types of a safetensors file; the constants have the header's names. */
public enum StoredType {
  F64(8),
  F32(4),
  F16(2),
  BF16(2),
  I64(8),
  I32(4),
  I16(2),
  U8(1),
  I8(1),
  BOOL(1);

  private final int bytes;

  StoredType(int bytes) {
    this.bytes = bytes;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }

  public boolean isFloating() {
    return this == F64 || this == F32 || this == F16 || this == BF16;
  }

  /** The type of that name in a header; empty if it is unknown or unsupported. */
  static Optional<StoredType> named(String name) {
    return Arrays.stream(values()).filter(type -> type.name().equals(name)).findFirst();
  }

  static StoredType of(DType dtype) {
    return valueOf(dtype.safetensorsName());
  }

  /** The tensor dtype with the same bits per element; empty if a conversion would be needed. */
  Optional<DType> sameBits() {
    return switch (this) {
      case F32 -> Optional.of(DType.FLOAT32);
      case BF16 -> Optional.of(DType.BFLOAT16);
      case I32 -> Optional.of(DType.INT32);
      case U8, BOOL -> Optional.of(DType.UINT8);
      case I8 -> Optional.of(DType.INT8);
      case F64 -> Optional.of(DType.FLOAT64);
      case F16, I64, I16 -> Optional.empty();
    };
  }
}

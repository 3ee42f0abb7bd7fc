package panamoe.checkpoint.gguf;

import java.nio.ByteBuffer;
import java.util.List;

/** The value of a metadata key: one number or string, or an array of them. */
sealed interface GgufValue {

  /** The type of the value, or of an array's elements. */
  Type type();

  boolean array();

  int count();

  /** A type of values; the constants stand in the order of their numbers in a file. */
  enum Type {
    UINT8(1),
    INT8(1),
    UINT16(2),
    INT16(2),
    UINT32(4),
    INT32(4),
    FLOAT32(4),
    BOOL(1),
    STRING(0),
    ARRAY(0),
    UINT64(8),
    INT64(8),
    FLOAT64(8);

    private final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }

    /** Size in bytes; 0 if it differs from value to value. */
    int bytes() {
      return bytes;
    }

    boolean isWhole() {
      return switch (this) {
        case FLOAT32, FLOAT64, BOOL, STRING, ARRAY -> false;
        default -> true;
      };
    }

    boolean isReal() {
      return this == FLOAT32 || this == FLOAT64;
    }
  }

  /**
   * Numbers or truth values, as they are in the file.
   *
   * @param bytes in little-endian order
   */
  record Numbers(Type type, boolean array, ByteBuffer bytes) implements GgufValue {

    @Override
    public int count() {
      return bytes.limit() / type.bytes();
    }

    /** An element of a whole or a truth value; of a UINT64 beyond 2^63 the negative complement. */
    long whole(int index) {
      int at = index * type.bytes();
      return switch (type) {
        case UINT8, BOOL -> bytes.get(at) & 0xff;
        case INT8 -> bytes.get(at);
        case UINT16 -> bytes.getShort(at) & 0xffff;
        case INT16 -> bytes.getShort(at);
        case UINT32 -> bytes.getInt(at) & 0xffffffffL;
        case INT32 -> bytes.getInt(at);
        case UINT64, INT64 -> bytes.getLong(at);
        case FLOAT32, FLOAT64, STRING, ARRAY ->
            throw new IllegalStateException(type + " is not whole");
      };
    }

    double real(int index) {
      int at = index * type.bytes();
      return switch (type) {
        case FLOAT32 -> bytes.getFloat(at);
        case FLOAT64 -> bytes.getDouble(at);
        default -> throw new IllegalStateException(type + " is not real");
      };
    }
  }

  /** Strings. */
  record Texts(boolean array, List<String> values) implements GgufValue {

    @Override
    public Type type() {
      return Type.STRING;
    }

    @Override
    public int count() {
      return values.size();
    }
  }
}

package panamoe.checkpoint.gguf;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;

/** The value of a metadata key: a number, boolean or string, or an array. */
sealed interface GgufValue {

  /** The type of the value, or of an array's elements. */
  Type type();

  boolean array();

  /** The value in Java, see {@link GgufMetadata#values}. */
  Object plain();

  /** A value of {@link GgufWriter#put}. */
  static GgufValue of(Object value) {
    return switch (value) {
      case String text -> new Texts(false, List.of(text));
      case List<?> texts -> new Texts(true, texts.stream().map(String.class::cast).toList());
      case Integer number -> new Numbers(Type.UINT32, false, room(4).putInt(number).flip());
      case Float number -> new Numbers(Type.FLOAT32, false, room(4).putFloat(number).flip());
      case Boolean flag -> new Numbers(Type.BOOL, false, room(1).put((byte) (flag ? 1 : 0)).flip());
      case int[] numbers -> {
        ByteBuffer bytes = room(4 * numbers.length);
        bytes.asIntBuffer().put(numbers);
        yield new Numbers(Type.INT32, true, bytes);
      }
      case float[] numbers -> {
        ByteBuffer bytes = room(4 * numbers.length);
        bytes.asFloatBuffer().put(numbers);
        yield new Numbers(Type.FLOAT32, true, bytes);
      }
      case boolean[] flags -> {
        ByteBuffer bytes = room(flags.length);
        for (boolean flag : flags) {
          bytes.put((byte) (flag ? 1 : 0));
        }
        yield new Numbers(Type.BOOL, true, bytes.flip());
      }
      default -> throw new IllegalArgumentException(value.getClass() + " is not written to GGUF");
    };
  }

  private static ByteBuffer room(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The types of values, in the order of their numbers in a file. */
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

    /** Size in bytes; 0 if it varies. */
    int bytes() {
      return bytes;
    }
  }

  /**
   * Numbers or booleans in the file's encoding, so that an array takes no more memory than in the
   * file.
   *
   * @param bytes in little-endian order
   */
  record Numbers(Type type, boolean array, ByteBuffer bytes) implements GgufValue {

    @Override
    public Object plain() {
      IntStream each = IntStream.range(0, bytes.limit() / type.bytes());
      return switch (type) {
        case FLOAT32, FLOAT64 -> array ? each.mapToDouble(this::real).toArray() : real(0);
        case BOOL -> array ? flags() : whole(0) != 0;
        default -> array ? each.mapToLong(this::whole).toArray() : one();
      };
    }

    private Number one() {
      long number = whole(0);
      return type == Type.UINT64 && number < 0
          ? new BigInteger(Long.toUnsignedString(number))
          : number;
    }

    private boolean[] flags() {
      boolean[] flags = new boolean[bytes.limit()];
      for (int i = 0; i < flags.length; i++) {
        flags[i] = bytes.get(i) != 0;
      }
      return flags;
    }

    private long whole(int index) {
      int at = index * type.bytes();
      return switch (type) {
        case UINT8, BOOL -> bytes.get(at) & 0xff;
        case INT8 -> bytes.get(at);
        case UINT16 -> bytes.getShort(at) & 0xffff;
        case INT16 -> bytes.getShort(at);
        case UINT32 -> bytes.getInt(at) & 0xffffffffL;
        case INT32 -> bytes.getInt(at);
        case UINT64, INT64 -> bytes.getLong(at);
        default -> throw new IllegalStateException(type + " is not whole");
      };
    }

    private double real(int index) {
      return type == Type.FLOAT32
          ? bytes.getFloat(index * Float.BYTES)
          : bytes.getDouble(index * Double.BYTES);
    }
  }

  record Texts(boolean array, List<String> values) implements GgufValue {

    @Override
    public Type type() {
      return Type.STRING;
    }

    @Override
    public Object plain() {
      return array ? values : values.getFirst();
    }
  }
}

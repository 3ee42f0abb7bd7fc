package panamoe.data.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A message in protobuf's encoding.
 *
 * @param fields the values of each number: a {@code Long} of a varint, a {@code Float} of four
 *     bytes, or a {@code ByteBuffer} of a string or message
 */
record ProtobufMessage(Map<Integer, List<Object>> fields) {
  private static final int LONGEST_VARINT = 10;
  private static final int MOST_FIELDS = TokenizerJson.MAX_TOKENS + 100;

  /**
   * @throws java.nio.BufferUnderflowException if the message is truncated
   * @throws IllegalArgumentException if it is not a message
   */
  static ProtobufMessage read(ByteBuffer bytes) {
    Map<Integer, List<Object>> fields = new HashMap<>();
    ByteBuffer in = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    for (int count = 0; in.hasRemaining(); count++) {
      if (count == MOST_FIELDS) {
        throw new IllegalArgumentException("too many fields");
      }
      long tag = varint(in);
      Object value =
          switch ((int) tag & 7) {
            case 0 -> varint(in);
            case 1 -> in.getLong();
            case 2 -> {
              int length = (int) Math.min(varint(in) & Long.MAX_VALUE, Integer.MAX_VALUE);
              ByteBuffer part = in.slice(in.position(), Math.min(length, in.remaining()));
              in.position(in.position() + length);
              yield part;
            }
            case 5 -> in.getFloat();
            default -> throw new IllegalArgumentException("no wire type");
          };
      fields.computeIfAbsent((int) (tag >>> 3), _ -> new ArrayList<>(1)).add(value);
    }
    return new ProtobufMessage(fields);
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int i = 0; i < LONGEST_VARINT; i++) {
      byte next = in.get();
      value |= (next & 0x7fL) << 7 * i;
      if (next >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a varint of more than ten bytes");
  }

  /** The messages of a repeated field. */
  List<ProtobufMessage> messages(int number) {
    return fields.getOrDefault(number, List.of()).stream()
        .map(value -> read((ByteBuffer) value))
        .toList();
  }

  /** The last message of a field; an empty one if it is absent. */
  ProtobufMessage message(int number) {
    List<Object> all = fields.getOrDefault(number, List.of(ByteBuffer.allocate(0)));
    return read((ByteBuffer) all.getLast());
  }

  byte[] bytes(int number) {
    ByteBuffer value =
        ((ByteBuffer) fields.getOrDefault(number, List.of(ByteBuffer.allocate(0))).getLast());
    byte[] bytes = new byte[value.remaining()];
    value.duplicate().get(bytes);
    return bytes;
  }

  String text(int number, String fallback) {
    return fields.containsKey(number)
        ? new String(bytes(number), StandardCharsets.UTF_8)
        : fallback;
  }

  int number(int number, int fallback) {
    return ((Number) fields.getOrDefault(number, List.of(fallback)).getLast()).intValue();
  }

  float real(int number) {
    return ((Number) fields.getOrDefault(number, List.of(0f)).getLast()).floatValue();
  }
}

package panamoe.checkpoint.torch;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.Words;

/** The bytes of a pickle. A length is compared with the rest before memory is allocated. */
final class PickleInput {
  private static final int LONGEST_NAME = 200;

  private final ByteBuffer bytes;
  private final String source;

  /**
   * @param source for messages
   */
  PickleInput(byte[] bytes, String source) {
    this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.source = source;
  }

  CheckpointException bad(String pattern, Object... values) {
    String problem = Words.of(pattern, values);
    return new CheckpointException("%s %s, at byte %s", source, problem, bytes.position());
  }

  int uint8() {
    return take(1).get() & 0xff;
  }

  int uint16() {
    return take(2).getShort() & 0xffff;
  }

  int int32() {
    return take(4).getInt();
  }

  /** Python's floats are big-endian in a pickle. */
  double float64() {
    return take(8).order(ByteOrder.BIG_ENDIAN).getDouble();
  }

  /** A whole number of that many bytes; a Long if it fits. */
  Number integer(int length) {
    byte[] value = new byte[remainingAtLeast(length)];
    take(length).get(value);
    for (int i = 0, j = length - 1; i < j; i++, j--) {
      byte swapped = value[i];
      value[i] = value[j];
      value[j] = swapped;
    }
    BigInteger number = length == 0 ? BigInteger.ZERO : new BigInteger(value);
    return number.bitLength() < Long.SIZE ? (Number) number.longValue() : number;
  }

  String utf8(int length) {
    try {
      CharBuffer text = UTF_8.newDecoder().decode(take(length));
      return text.toString();
    } catch (CharacterCodingException e) {
      throw new CheckpointException(bad("has a text that is not UTF-8").getMessage(), e);
    }
  }

  /** A name up to the end of its line. */
  String line() {
    StringBuilder line = new StringBuilder();
    for (int next = uint8(); next != '\n'; next = uint8()) {
      if (next <= ' ' || next > '~' || line.length() == LONGEST_NAME) {
        throw bad("has a name that is none");
      }
      line.append((char) next);
    }
    return line.toString();
  }

  private int remainingAtLeast(int length) {
    if (length < 0 || length > bytes.remaining()) {
      throw bad(
          "asks for %s bytes where %s are left",
          Integer.toUnsignedString(length), bytes.remaining());
    }
    return length;
  }

  private ByteBuffer take(int length) {
    ByteBuffer taken =
        bytes.slice(bytes.position(), remainingAtLeast(length)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.position(bytes.position() + length);
    return taken;
  }
}

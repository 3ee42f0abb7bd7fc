package panamoe.engine;

import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The name of a sequence's first tokens, up to the end of a full block: the SHA-256 of the name
 * before it and the block's tokens. Nobody can find two texts of one name, so that a block found by
 * its name holds what it should.
 */
record Prefix(long first, long second, long third, long fourth) {
  private static final int BYTES = 32;

  /**
   * The name of no tokens.
   *
   * @param salt sequences share blocks only with sequences of the same salt
   */
  static Prefix none(String salt) {
    return of(sha256().digest(salt.getBytes(StandardCharsets.UTF_8)));
  }

  /** The name after {@code count} more tokens, which fill a block. */
  Prefix then(int[] tokens, int from, int count) {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES + Integer.BYTES * count);
    bytes.putLong(first).putLong(second).putLong(third).putLong(fourth);
    bytes.asIntBuffer().put(tokens, from, count);
    return of(sha256().digest(bytes.array()));
  }

  private static Prefix of(byte[] digest) {
    LongBuffer longs = ByteBuffer.wrap(digest).asLongBuffer();
    return new Prefix(longs.get(), longs.get(), longs.get(), longs.get());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }
}

package panamoe.engine.schedule;

import java.nio.ByteBuffer;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import panamoe.io.Sha256;

/**
 * The name of a sequence's first tokens up to the end of a full block: SHA-256 of the previous name
 * and the block's tokens. Two prefixes with one name cannot be constructed, so a block found by
 * name holds the right keys and values.
 */
record Prefix(long first, long second, long third, long fourth) {
  private static final int BYTES = 32;

  /**
   * The name of the empty prefix.
   *
   * @param salt sequences share blocks only with sequences of the same salt
   */
  static Prefix none(String salt) {
    return of(Sha256.digest().digest(salt.getBytes(StandardCharsets.UTF_8)));
  }

  /** The name of the same tokens in the model with an adapter. */
  Prefix adaptedBy(String adapter) {
    // Two bytes past a whole number of ints, unlike the inputs of then() and limitedTo().
    byte[] name = Sha256.digest().digest(adapter.getBytes(StandardCharsets.UTF_8));
    ByteBuffer bytes = ByteBuffer.allocate(BYTES + 2 + name.length);
    bytes.putLong(first).putLong(second).putLong(third).putLong(fourth).putShort((short) 0);
    return of(Sha256.digest().digest(bytes.put(name).array()));
  }

  /** The name of the same tokens with {@code topK} experts per row in each MoE layer. */
  Prefix limitedTo(int[] topK) {
    // One byte longer than the input of then(), so that the two kinds of names differ.
    ByteBuffer bytes = ByteBuffer.allocate(BYTES + 1 + Integer.BYTES * topK.length);
    bytes.putLong(first).putLong(second).putLong(third).putLong(fourth).put((byte) 0);
    for (int most : topK) {
      bytes.putInt(most);
    }
    return of(Sha256.digest().digest(bytes.array()));
  }

  /** The name after {@code count} more tokens, which fill a block. */
  Prefix then(int[] tokens, int from, int count) {
    ByteBuffer bytes = ByteBuffer.allocate(BYTES + Integer.BYTES * count);
    bytes.putLong(first).putLong(second).putLong(third).putLong(fourth);
    bytes.asIntBuffer().put(tokens, from, count);
    return of(Sha256.digest().digest(bytes.array()));
  }

  private static Prefix of(byte[] digest) {
    LongBuffer longs = ByteBuffer.wrap(digest).asLongBuffer();
    return new Prefix(longs.get(), longs.get(), longs.get(), longs.get());
  }
}

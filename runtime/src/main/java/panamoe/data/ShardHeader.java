package panamoe.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import panamoe.io.DataException;

/**
 * The first 128 bytes of a shard of tokens, little-endian: magic (8 bytes); int32 bytes per token;
 * int32 part (0 training, 1 validation); int64 index of the first token in its part; int64 number
 * of tokens; SHA-256 of the text and of the tokenizer (32 bytes each); int32 CRC-32C of the tokens;
 * zeros.
 *
 * @param crc CRC-32C of the tokens
 */
record ShardHeader(Shape shape, long first, long tokens, int crc) {
  static final int BYTES = 128;
  private static final byte[] MAGIC = "PANATOK1".getBytes(StandardCharsets.US_ASCII);
  private static final int HASHES = 32;
  private static final int CRC = 96;

  /**
   * The fields that all shards of a part share.
   *
   * @param tokenBytes 2 for uint16, 4 for int32
   * @param text SHA-256
   * @param tokenizer SHA-256
   */
  record Shape(int tokenBytes, Corpus.Part part, String text, String tokenizer) {}

  ByteBuffer bytes() {
    return ByteBuffer.allocate(BYTES)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(MAGIC)
        .putInt(shape.tokenBytes())
        .putInt(shape.part().ordinal())
        .putLong(first)
        .putLong(tokens)
        .put(HexFormat.of().parseHex(shape.text()))
        .put(HexFormat.of().parseHex(shape.tokenizer()))
        .putInt(crc)
        .rewind();
  }

  /**
   * Reads the checksum from a header that must equal this one otherwise.
   *
   * @param file of the header, for messages
   * @throws DataException if it is another header, or not a header
   */
  int crcIn(ByteBuffer header, String file) {
    ByteBuffer expected = bytes();
    require(same(header, expected, 0, MAGIC.length), file + " is not a shard of tokens");
    require(
        same(header, expected, HASHES, CRC),
        file + " is a shard of another text or tokenizer than its folder's");
    require(
        same(header, expected, MAGIC.length, HASHES)
            && same(header, expected, CRC + Integer.BYTES, BYTES),
        file + " is another shard than its name says, or damaged");
    return header.order(ByteOrder.LITTLE_ENDIAN).getInt(CRC);
  }

  private static boolean same(ByteBuffer a, ByteBuffer b, int from, int to) {
    return a.slice(from, to - from).equals(b.slice(from, to - from));
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new DataException(message + "; prepare the text again");
    }
  }
}

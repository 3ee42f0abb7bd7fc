package panamoe.data;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import panamoe.io.DataException;

/** Conversion of text to UTF-8 bytes, and validation of UTF-8. */
public final class Utf8 {
  private static final byte[] REPLACEMENT = {(byte) 0xef, (byte) 0xbf, (byte) 0xbd};

  private Utf8() {}

  /** The UTF-8 bytes of a string; each lone surrogate becomes U+FFFD. */
  static byte[] bytes(String text) {
    try {
      ByteBuffer bytes =
          StandardCharsets.UTF_8
              .newEncoder()
              .replaceWith(REPLACEMENT)
              .onMalformedInput(CodingErrorAction.REPLACE)
              .encode(CharBuffer.wrap(text));
      byte[] exact = new byte[bytes.remaining()];
      bytes.get(exact);
      return exact;
    } catch (CharacterCodingException e) {
      throw new IllegalStateException("an encoder that replaces does not fail", e);
    }
  }

  /** The offset of the first byte that is NUL or not part of valid UTF-8; -1 if there is none. */
  static int firstBinary(byte[] bytes) {
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer discarded = CharBuffer.allocate(8192);
    CoderResult result;
    do {
      result = decoder.decode(in, discarded.clear(), true);
    } while (result.isOverflow());
    int end = in.position();
    for (int i = 0; i < end; i++) {
      if (bytes[i] == 0) {
        return i;
      }
    }
    return result.isError() ? end : -1;
  }

  /**
   * Refuses bytes of a file that are not text.
   *
   * @param at their offset in the file
   * @throws DataException with the first such byte and its offset
   */
  public static void requireText(Path file, long at, byte[] bytes) {
    int binary = firstBinary(bytes);
    if (binary >= 0) {
      throw new DataException(
          bytes[binary] == 0
              ? "%s is not a UTF-8 text: byte %s is NUL"
              : "%s is not a UTF-8 text: byte %s is 0x%02x, which is invalid there",
          file,
          at + binary,
          bytes[binary]);
    }
  }
}

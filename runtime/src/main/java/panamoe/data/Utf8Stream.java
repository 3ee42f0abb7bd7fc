package panamoe.data;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Puts the bytes of generated tokens together to text. A character whose bytes are spread over
 * tokens comes out with its last byte; U+FFFD stands only for bytes that cannot be UTF-8 whatever
 * follows, or that the end cuts off. One stream for each generated sequence; not thread-safe.
 */
public final class Utf8Stream {
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPLACE);
  private ByteBuffer pending = ByteBuffer.allocate(64);

  /** Adds the bytes of a token and returns the characters that are complete now, perhaps none. */
  public String append(byte[] bytes) {
    if (pending.remaining() < bytes.length) {
      pending = ByteBuffer.allocate(pending.position() + 2 * bytes.length).put(pending.flip());
    }
    pending.put(bytes);
    return decode(false);
  }

  /**
   * Ends the text: what is still incomplete comes out as U+FFFD. The stream can then begin another
   * text.
   */
  public String end() {
    String rest = decode(true);
    decoder.reset();
    return rest;
  }

  private String decode(boolean last) {
    pending.flip();
    // A byte gives at most one char.
    CharBuffer chars = CharBuffer.allocate(pending.remaining() + 1);
    decoder.decode(pending, chars, last);
    pending.compact();
    return chars.flip().toString();
  }
}

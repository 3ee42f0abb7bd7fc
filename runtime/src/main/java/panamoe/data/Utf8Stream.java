package panamoe.data;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Decodes the bytes of generated tokens. A character whose bytes are spread over tokens is emitted
 * with its last byte. U+FFFD replaces only bytes that cannot become UTF-8, or that the end cuts
 * off. One stream per sequence; not thread-safe.
 */
public final class Utf8Stream {
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPLACE);
  private ByteBuffer pending = ByteBuffer.allocate(64);
  private final boolean dropsFirstSpace;
  private boolean begun;

  /** Keeps every character. */
  public Utf8Stream() {
    this(false);
  }

  /**
   * @param dropsFirstSpace whether to drop a space at the beginning: SentencePiece's encoders put
   *     one there
   */
  public Utf8Stream(boolean dropsFirstSpace) {
    this.dropsFirstSpace = dropsFirstSpace;
  }

  /** Adds the bytes of a token and returns the characters that are complete, possibly none. */
  public String append(byte[] bytes) {
    if (pending.remaining() < bytes.length) {
      pending = ByteBuffer.allocate(pending.position() + 2 * bytes.length).put(pending.flip());
    }
    pending.put(bytes);
    return decode(false);
  }

  /** Ends the text: an incomplete character becomes U+FFFD. The stream can then be reused. */
  public String end() {
    String rest = decode(true);
    decoder.reset();
    begun = false;
    return rest;
  }

  private String decode(boolean last) {
    pending.flip();
    // A byte decodes to at most one char.
    CharBuffer chars = CharBuffer.allocate(pending.remaining() + 1);
    decoder.decode(pending, chars, last);
    pending.compact();
    chars.flip();
    boolean first = !begun && chars.hasRemaining();
    begun |= first;
    if (first && dropsFirstSpace && chars.get(0) == ' ') {
      chars.get();
    }
    return chars.toString();
  }
}

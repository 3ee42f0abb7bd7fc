package panamoe.data;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;

/**
 * Special tokens within strings and bytes: a token's name between two characters, or two bytes,
 * that do not occur in text. A name that other tokens spell is therefore different.
 */
public final class Markers {
  // Lone surrogates do not occur in UTF-8.
  private static final char BEGIN = '\udffe';
  private static final char END = '\udfff';
  // UTF-8 has none of these bytes.
  private static final int BEGIN_BYTE = 0xfe;
  private static final int END_BYTE = 0xff;
  private static final byte NO_TEXT = (byte) 0xc0;

  private Markers() {}

  /** The marker of a special token with this name. */
  public static String of(String name) {
    return BEGIN + name + END;
  }

  /** A marker as a vocabulary writes it: a special token if it has one, else plain text. */
  public static String in(Tokenizer tokenizer, String name) {
    int[] tokens = tokenizer.encodeWithSpecialTokens(name, new BitSet());
    return tokens.length == 1 && tokenizer.special(tokens[0]).equals(name) ? of(name) : name;
  }

  /** The text of tokens, with the markers of special ones. */
  public static String text(Tokenizer tokenizer, int[] tokens) {
    StringBuilder text = new StringBuilder();
    Utf8Stream characters = new Utf8Stream();
    for (int token : tokens) {
      String name = tokenizer.special(token);
      text.append(name.isEmpty() ? characters.append(tokenizer.bytesOf(token)) : of(name));
    }
    return text.toString();
  }

  /** The special token's name in a marker. */
  public static String name(String marker) {
    return marker.substring(1, marker.length() - 1);
  }

  /** The index of the next marker at or after {@code from}, or -1. */
  public static int next(String text, int from) {
    return text.indexOf(BEGIN, from);
  }

  /** The end index of the marker that begins at {@code begin}. */
  public static int end(String text, int begin) {
    return text.indexOf(END, begin) + 1;
  }

  /** The text without markers. */
  public static String without(String text) {
    StringBuilder rest = new StringBuilder();
    int from = 0;
    for (int begin = next(text, 0); begin >= 0; begin = next(text, from)) {
      rest.append(text, from, begin);
      from = end(text, begin);
    }
    return from == 0 ? text : rest.append(text, from, text.length()).toString();
  }

  /** The UTF-8 bytes of text with markers. */
  public static byte[] bytes(String text) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int from = 0;
    for (int begin = next(text, 0); begin >= 0; begin = next(text, from)) {
      bytes.writeBytes(text.substring(from, begin).getBytes(StandardCharsets.UTF_8));
      from = end(text, begin);
      bytes.write(BEGIN_BYTE);
      bytes.writeBytes(text.substring(begin + 1, from - 1).getBytes(StandardCharsets.UTF_8));
      bytes.write(END_BYTE);
    }
    bytes.writeBytes(text.substring(from).getBytes(StandardCharsets.UTF_8));
    return bytes.toByteArray();
  }

  /**
   * The bytes of a token; for a special token its marker, empty if it has no name. Byte
   * vocabularies also have tokens for a marker's two bytes: these become another byte that does not
   * occur in text.
   */
  public static byte[] bytes(Tokenizer tokenizer, int token) {
    String name = tokenizer.special(token);
    if (!name.isEmpty()) {
      return bytes(of(name));
    }
    byte[] own = tokenizer.bytesOf(token);
    byte[] bytes = own;
    for (int i = 0; i < own.length; i++) {
      if ((own[i] & 0xff) >= BEGIN_BYTE) {
        bytes = bytes == own ? own.clone() : bytes;
        bytes[i] = NO_TEXT;
      }
    }
    return bytes;
  }
}

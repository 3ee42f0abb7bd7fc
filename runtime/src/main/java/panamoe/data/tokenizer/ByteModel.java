package panamoe.data.tokenizer;

import java.util.Map;
import panamoe.io.IntList;

/**
 * Byte-pair encoding over the bytes of a piece.
 *
 * @param byteTokens the token of each byte
 * @param wholeWords pieces that become one token without merging ({@code ignore_merges}), by name
 *     in the byte alphabet; empty unless the file sets it
 */
record ByteModel(Merges merges, int[] byteTokens, Map<String, Integer> wholeWords)
    implements Model {

  /** Ignores the settings for unknown characters: over bytes every character is known. */
  static ByteModel of(TokenizerJson json, Vocabulary vocabulary, TokenDecoder decoder) {
    if (json.flag("byte_fallback")) {
      throw json.source.unsupported(
          "byte_fallback", json.model("byte_fallback"), "a vocabulary over bytes");
    }
    return new ByteModel(
        Merges.of(json, vocabulary),
        vocabulary.ofBytes(json, decoder),
        json.flag("ignore_merges") ? vocabulary.ofModel() : Map.of());
  }

  @Override
  public Encoder encoder() {
    return new ByteEncoder();
  }

  private final class ByteEncoder implements Encoder {
    private final Merger merger = new Merger(merges);
    private byte[] utf8 = new byte[256];

    @Override
    public void encode(char[] text, int from, int to, IntList result) {
      int length = toUtf8(text, from, to);
      Integer whole = wholeWords.isEmpty() ? null : wholeWords.get(ByteAlphabet.name(utf8, length));
      if (whole != null) {
        result.add(whole);
        return;
      }
      int[] tokens = merger.room(length);
      for (int i = 0; i < length; i++) {
        tokens[i] = byteTokens[utf8[i] & 0xff];
      }
      merger.merge(length, result);
    }

    private int toUtf8(char[] text, int from, int to) {
      if (utf8.length < 3 * (to - from)) {
        utf8 = new byte[3 * (to - from)];
      }
      int length = 0;
      for (int at = from; at < to; at++) {
        int point = text[at];
        if (point < 0x80) {
          utf8[length++] = (byte) point;
          continue;
        }
        if (Character.isHighSurrogate((char) point)) {
          point = Character.toCodePoint((char) point, text[++at]);
          utf8[length++] = (byte) (0xf0 | point >> 18);
          utf8[length++] = (byte) (0x80 | point >> 12 & 0x3f);
        } else if (point < 0x800) {
          utf8[length++] = (byte) (0xc0 | point >> 6);
          utf8[length++] = (byte) (0x80 | point & 0x3f);
          continue;
        } else {
          utf8[length++] = (byte) (0xe0 | point >> 12);
        }
        utf8[length++] = (byte) (0x80 | point >> 6 & 0x3f);
        utf8[length++] = (byte) (0x80 | point & 0x3f);
      }
      return length;
    }
  }
}

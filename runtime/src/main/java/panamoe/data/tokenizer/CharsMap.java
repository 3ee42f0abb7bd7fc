package panamoe.data.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.text.BreakIterator;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.function.UnaryOperator;
import tools.jackson.databind.JsonNode;

/**
 * SentencePiece's compiled table of characters and what they are replaced by ({@code Precompiled}):
 * a double-array trie over UTF-8, whose values are offsets of texts that end with NUL. As in
 * Hugging Face's library, a cluster of less than six bytes is replaced as a whole if the table has
 * a beginning of it, otherwise character by character.
 */
record CharsMap(int[] units, byte[] texts) implements UnaryOperator<String> {
  private static final int MAX_REPLACEMENT = 256;
  private static final int SHORT_CLUSTER = 6;

  static CharsMap of(JsonNode part, Source source) {
    try {
      byte[] table = Base64.getDecoder().decode(part.path("precompiled_charsmap").asString(""));
      ByteBuffer in = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN);
      int size = in.remaining() < Integer.BYTES ? -1 : in.getInt();
      if (size < Integer.BYTES || size % Integer.BYTES != 0 || size > in.remaining()) {
        throw source.trouble("has a precompiled_charsmap of no or a damaged table");
      }
      int[] units = new int[size / Integer.BYTES];
      in.asIntBuffer().get(units);
      byte[] texts = Arrays.copyOfRange(table, Integer.BYTES + size, table.length);
      requireShort(texts, source);
      return new CharsMap(units, texts);
    } catch (IllegalArgumentException e) {
      throw source.trouble("has a precompiled_charsmap that is not Base64");
    }
  }

  private static void requireShort(byte[] texts, Source source) {
    int begin = 0;
    for (int at = 0; at < texts.length; at++) {
      begin = texts[at] == 0 ? at + 1 : begin;
      if (at - begin >= MAX_REPLACEMENT) {
        throw source.trouble(
            "has a precompiled_charsmap with a replacement of more than %s bytes", MAX_REPLACEMENT);
      }
    }
  }

  @Override
  public String apply(String text) {
    StringBuilder result = new StringBuilder(text.length());
    BreakIterator clusters = BreakIterator.getCharacterInstance(Locale.ROOT);
    clusters.setText(text);
    int begin = 0;
    for (int end = clusters.next(); end != BreakIterator.DONE; end = clusters.next()) {
      String cluster = text.substring(begin, end);
      begin = end;
      byte[] utf8 = cluster.getBytes(StandardCharsets.UTF_8);
      String whole = utf8.length < SHORT_CLUSTER ? replacement(utf8) : null;
      if (whole != null) {
        result.append(whole);
        continue;
      }
      cluster
          .codePoints()
          .mapToObj(Character::toString)
          .forEach(
              character -> {
                String other = replacement(character.getBytes(StandardCharsets.UTF_8));
                result.append(other == null ? character : other);
              });
    }
    return result.toString();
  }

  /**
   * What the shortest beginning of these bytes that the table has is replaced by; null for none.
   */
  private String replacement(byte[] utf8) {
    int node = offset(units[0]);
    for (byte each : utf8) {
      node ^= each & 0xff;
      // Bit 31 marks a value, which has no label.
      if (each == 0 || node >= units.length || (units[node] & 0x8000_00ff) != (each & 0xff)) {
        return null;
      }
      boolean ends = (units[node] >>> 8 & 1) != 0;
      node ^= offset(units[node]);
      if (ends) {
        return node < units.length ? text(units[node] & 0x7fff_ffff) : null;
      }
    }
    return null;
  }

  /** The distance to a unit's children; bit 9 says that it is counted in units of 256. */
  private static int offset(int unit) {
    return unit >>> 10 << ((unit & 0x200) >>> 6);
  }

  private String text(int begin) {
    int end = begin;
    while (end < texts.length && texts[end] != 0) {
      end++;
    }
    return begin < texts.length
        ? new String(texts, begin, end - begin, StandardCharsets.UTF_8)
        : null;
  }
}

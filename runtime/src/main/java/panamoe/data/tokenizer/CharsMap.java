package panamoe.data.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.text.BreakIterator;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import tools.jackson.databind.JsonNode;

/**
 * SentencePiece's compiled table of replacements ({@code Precompiled}): a double-array trie over
 * UTF-8, whose values are offsets of NUL-terminated strings. SentencePiece replaces the longest
 * text in the table at each position. In Hugging Face's library, a cluster of less than six bytes
 * is replaced as a whole if the table has a prefix of it, otherwise character by character.
 *
 * @param kept texts that SentencePiece does not replace; null for Hugging Face's rule
 */
record CharsMap(int[] units, byte[] texts, Trie kept) implements UnaryOperator<String> {
  /** The key of kept texts, which Hugging Face's library does not know. */
  static final String KEPT = "kept";

  private static final int LONGEST_KEY = 256;
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
      return new CharsMap(units, texts, part.has(KEPT) ? kept(part.get(KEPT), source) : null);
    } catch (IllegalArgumentException e) {
      throw source.trouble("has a precompiled_charsmap that is not Base64");
    }
  }

  private static Trie kept(JsonNode list, Source source) {
    Map<String, Integer> names = new HashMap<>();
    for (JsonNode name : source.list(list, KEPT, TokenizerJson.MAX_TOKENS)) {
      names.put(name.asString(""), names.size());
    }
    names.remove("");
    return Trie.of(names, false, source);
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
    return kept == null ? byCluster(text) : byLongest(text);
  }

  private String byLongest(String text) {
    StringBuilder result = new StringBuilder(text.length());
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    int at = 0; // in the bytes
    for (int begin = 0, end; begin < text.length(); begin = end) {
      int length = 0; // of the longest key, in bytes
      String other = null;
      int node = offset(units[0]);
      end = keptUntil(text, begin);
      for (int i = at; end == begin && i < Math.min(utf8.length, at + LONGEST_KEY); i++) {
        node = child(node, utf8[i]);
        if (node < 0) {
          break;
        }
        String found = value(node);
        other = found == null ? other : found;
        length = found == null ? length : i + 1 - at;
        node ^= offset(units[node]);
      }
      if (end == begin) {
        end =
            length > 0
                ? begin + new String(utf8, at, length, StandardCharsets.UTF_8).length()
                : text.offsetByCodePoints(begin, 1);
      }
      String given = text.substring(begin, end);
      at += given.getBytes(StandardCharsets.UTF_8).length;
      result.append(other == null ? given : other);
    }
    return result.toString();
  }

  /** The end of the longest kept text that begins here; {@code begin} without one. */
  private int keptUntil(String text, int begin) {
    int end = begin;
    int node = Trie.ROOT;
    for (int at = begin; at < text.length(); at++) {
      node = kept.next(node, text.charAt(at));
      if (node < 0) {
        break;
      }
      end = kept.token(node) >= 0 ? at + 1 : end;
    }
    return end;
  }

  private String byCluster(String text) {
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

  /** The replacement of the shortest prefix of these bytes in the table, or null. */
  private String replacement(byte[] utf8) {
    int node = offset(units[0]);
    for (byte each : utf8) {
      node = child(node, each);
      if (node < 0) {
        return null;
      }
      String value = value(node);
      if (value != null) {
        return value;
      }
      node ^= offset(units[node]);
    }
    return null;
  }

  /** The unit of a node's child, or -1. */
  private int child(int node, byte label) {
    int child = node ^ label & 0xff;
    // Bit 31 marks a value, which has no label.
    boolean known = label != 0 && child < units.length;
    return known && (units[child] & 0x8000_00ff) == (label & 0xff) ? child : -1;
  }

  /** The replacement of the text that ends at a unit; null if none ends there. */
  private String value(int unit) {
    int at = unit ^ offset(units[unit]);
    boolean ends = (units[unit] >>> 8 & 1) != 0 && at < units.length;
    return ends ? text(units[at] & 0x7fff_ffff) : null;
  }

  /** The distance to a unit's children; if bit 9 is set, in units of 256. */
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

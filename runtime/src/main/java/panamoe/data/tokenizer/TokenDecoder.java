package panamoe.data.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/**
 * How the names of tokens become text: names in the alphabet of bytes, or SentencePiece's, in which
 * {@code ▁} is a space.
 *
 * @param byteLevel whether names are in the alphabet of bytes
 * @param byteFallback whether {@code <0xAB>} is the name of a byte
 * @param dropsFirstSpace whether the first character of a whole text is dropped if it is a space
 */
record TokenDecoder(boolean byteLevel, boolean byteFallback, boolean dropsFirstSpace) {
  static final char SPACE = '\u2581';
  static final Pattern BYTE = Pattern.compile("<0x[0-9A-F]{2}>");
  private static final int MAX_PARTS = 10;

  static TokenDecoder of(JsonNode decoder, Source source) {
    if (decoder.isMissingNode() || decoder.isNull()) {
      throw source.trouble("has no decoder: how its tokens become text is unknown");
    }
    List<JsonNode> parts = new ArrayList<>();
    if (source.type(decoder, "decoder").equals("Sequence")) {
      source.list(decoder.path("decoders"), "decoders", MAX_PARTS).forEach(parts::add);
    } else {
      parts.add(decoder);
    }
    List<String> types = parts.stream().map(part -> source.type(part, "decoder")).toList();
    if (types.contains("ByteLevel")) {
      for (JsonNode part : parts) {
        if (!List.of("ByteLevel", "Fuse").contains(part.path("type").stringValue())) {
          throw source.unsupported("decoder beside ByteLevel", part.path("type"), "Fuse");
        }
      }
      return new TokenDecoder(true, false, false);
    }
    return sentencePiece(parts, decoder, source);
  }

  private static TokenDecoder sentencePiece(List<JsonNode> parts, JsonNode decoder, Source source) {
    boolean spaces = false;
    boolean fused = false;
    boolean bytes = false;
    boolean drops = false;
    for (JsonNode part : parts) {
      switch (part.path("type").stringValue()) {
        case "Metaspace" -> {
          Metaspace metaspace = Metaspace.of(part, source);
          spaces = true;
          drops = metaspace.prefix() != Metaspace.Prefix.NEVER;
        }
        case "Replace" -> {
          requireReplacedSpace(part, source);
          spaces = true;
        }
        case "ByteFallback" -> bytes = true;
        case "Fuse" -> fused = true;
        case "Strip" -> {
          boolean first = part.path("start").asInt(0) == 1;
          boolean known = first || part.path("start").asInt(0) == 0;
          if (!fused
              || !known
              || !part.path("content").asString("").equals(" ")
              || part.path("stop").asInt(0) != 0) {
            throw source.unsupported(
                "decoder", part, "Strip, behind Fuse, of at most one space at the beginning");
          }
          drops = first;
        }
        default ->
            throw source.unsupported(
                "decoder",
                part.path("type"),
                "ByteLevel, Metaspace, Replace, ByteFallback, Fuse or Strip");
      }
    }
    if (!spaces) {
      throw source.unsupported(
          "decoder", decoder.path("type"), "ByteLevel, Metaspace or a Replace of " + SPACE);
    }
    return new TokenDecoder(false, bytes, drops);
  }

  private static void requireReplacedSpace(JsonNode part, Source source) {
    JsonNode pattern = part.path("pattern").path("String");
    if (!pattern.asString("").equals(String.valueOf(SPACE))
        || !part.path("content").asString("").equals(" ")) {
      throw source.unsupported("decoder", part, "a Replace of " + SPACE + " by a space");
    }
  }

  /** The bytes of a token that is not special. */
  byte[] bytes(String name) {
    if (byteLevel) {
      byte[] spelled = ByteAlphabet.bytes(name);
      return spelled != null ? spelled : name.getBytes(StandardCharsets.UTF_8);
    }
    if (byteFallback && BYTE.matcher(name).matches()) {
      return new byte[] {(byte) HexFormat.fromHexDigits(name, 3, 5)};
    }
    return name.replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
  }

  /** Whether a text that a model meets as this name has the bytes given. */
  boolean spells(String name, byte[] bytes) {
    byte[] spelled =
        byteLevel
            ? ByteAlphabet.bytes(name)
            : name.replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
    // Half a character is no part of any text.
    boolean whole =
        byteLevel
            || name.codePoints()
                .noneMatch(point -> Character.getType(point) == Character.SURROGATE);
    return whole && Arrays.equals(spelled, bytes);
  }

  /** The name of the token that stands for a byte. */
  String byteName(int value) {
    return byteLevel
        ? ByteAlphabet.name(new byte[] {(byte) value}, 1)
        : "<0x" + HexFormat.of().withUpperCase().toHexDigits((byte) value) + ">";
  }
}

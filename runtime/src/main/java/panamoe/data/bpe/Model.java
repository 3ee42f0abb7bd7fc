package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The tables that map text to tokens and tokens to text.
 *
 * @param bytes the bytes of each token
 * @param special the special tokens by name
 * @param byteTokens the token of each byte
 * @param wholeWords pieces that become one token without merging ({@code ignore_merges}), by name
 *     in the alphabet of bytes; empty unless the file sets it
 */
record Model(
    byte[][] bytes,
    Map<String, Integer> special,
    Merges merges,
    int[] byteTokens,
    Map<String, Integer> wholeWords) {

  /** Refuses any model except byte-pair encoding over bytes. */
  static void require(TokenizerJson json) {
    requireBytePairs(json);
    requireByteLevel(json.part("decoder"), json.source);
  }

  static Model of(TokenizerJson json, List<AddedToken> added) {
    Vocabulary vocabulary = Vocabulary.of(json, added);
    return new Model(
        vocabulary.bytes(),
        vocabulary.special(),
        Merges.of(json, vocabulary),
        vocabulary.ofBytes(json.source),
        flag(json, "ignore_merges") ? vocabulary.ofModel() : Map.of());
  }

  /** Ignores the settings for unknown characters: over bytes every character is known. */
  private static void requireBytePairs(TokenizerJson json) {
    Source source = json.source;
    JsonNode type = json.model("type");
    // Early files do not name the type, but only BPE models have merges.
    if (type.isMissingNode() ? json.merges.isEmpty() : !type.asText().equals("BPE")) {
      throw source.unsupported("model", type.isMissingNode() ? json.modelFields() : type, "BPE");
    }
    for (String affix : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      JsonNode value = json.model(affix);
      if (!value.isMissingNode()
          && !value.isNull()
          && !(value.isTextual() && value.textValue().isEmpty())) {
        throw source.unsupported(affix, value, "none");
      }
    }
    JsonNode dropout = json.model("dropout");
    if (!dropout.isMissingNode()
        && !dropout.isNull()
        && !(dropout.isNumber() && dropout.doubleValue() == 0)) {
      throw source.unsupported("dropout", dropout, "none");
    }
    if (flag(json, "byte_fallback")) {
      throw source.unsupported(
          "byte_fallback", json.model("byte_fallback"), "a vocabulary over bytes");
    }
  }

  private static boolean flag(TokenizerJson json, String field) {
    return json.source.flag(json.model(field), field, false);
  }

  /** The decoder must be the one that inverts the alphabet of bytes. */
  private static void requireByteLevel(JsonNode decoder, Source source) {
    if (decoder.isMissingNode() || decoder.isNull()) {
      throw source.trouble("is no byte-level tokenizer: it has no decoder");
    }
    List<String> types = new ArrayList<>();
    List<JsonNode> parts = new ArrayList<>();
    String type = source.type(decoder, "decoder");
    if (type.equals("Sequence")) {
      source.list(decoder.path("decoders"), "decoders", 10).forEach(parts::add);
    } else {
      parts.add(decoder);
    }
    for (JsonNode part : parts) {
      types.add(source.type(part, "decoder"));
      if (!List.of("ByteLevel", "Fuse").contains(types.getLast())) {
        throw source.unsupported("decoder", part.path("type"), "ByteLevel");
      }
    }
    if (!types.contains("ByteLevel")) {
      throw source.unsupported("decoder", decoder.path("type"), "ByteLevel");
    }
  }
}

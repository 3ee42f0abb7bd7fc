package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What turns a piece of text into tokens, and tokens into text.
 *
 * @param bytes that each token stands for
 * @param special the tokens that stand for no text, by name
 * @param byteTokens the token of each byte
 * @param wholeWords the pieces that are a token as a whole, whatever the merges say, by name in the
 *     alphabet of bytes; empty unless the file asks for it
 */
record Model(
    byte[][] bytes,
    Map<String, Integer> special,
    Merges merges,
    int[] byteTokens,
    Map<String, Integer> wholeWords) {

  /** Refuses other models than byte-pair encoding over bytes. */
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

  /** Not read is what says what to do with an unknown character: over bytes there is none. */
  private static void requireBytePairs(TokenizerJson json) {
    Source source = json.source;
    JsonNode type = json.model("type");
    // Early files do not name the type; of the models that have merges there is one alone.
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

  /**
   * A decoder says how to put tokens together; here it has to be what undoes the alphabet of bytes.
   */
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

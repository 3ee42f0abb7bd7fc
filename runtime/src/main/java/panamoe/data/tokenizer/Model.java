package panamoe.data.tokenizer;

import java.util.List;
import panamoe.io.IntList;
import tools.jackson.databind.JsonNode;

/** Encodes pieces of text to tokens. Immutable. */
interface Model {
  /** The state of one encoding; used by one thread at a time. */
  interface Encoder {
    /**
     * Adds the tokens of a piece.
     *
     * @param text without lone surrogates
     */
    void encode(char[] text, int from, int to, IntList result);
  }

  Encoder encoder();

  /** Cuts pieces further where that changes no token: words are encoded once, and remembered. */
  default Split.Sink words(Split.Sink sink) {
    return sink;
  }

  static Model of(TokenizerJson json, Vocabulary vocabulary, TokenDecoder decoder) {
    JsonNode type = json.model("type");
    // Early files do not name the type, but only BPE models have merges.
    boolean pairs = type.isMissingNode() ? !json.merges.isEmpty() : type.asString("").equals("BPE");
    if (pairs) {
      requirePlainPairs(json);
      return decoder.byteLevel()
          ? ByteModel.of(json, vocabulary, decoder)
          : CharacterModel.of(json, vocabulary, decoder);
    }
    if (type.asString("").equals("Unigram") && !decoder.byteLevel()) {
      return UnigramModel.of(json, vocabulary, decoder);
    }
    throw json.source.unsupported(
        "model",
        type.isMissingNode() ? json.modelFields() : type,
        decoder.byteLevel() ? "BPE" : "BPE or Unigram");
  }

  private static void requirePlainPairs(TokenizerJson json) {
    for (String affix : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      JsonNode value = json.model(affix);
      if (!value.isMissingNode()
          && !value.isNull()
          && !(value.isString() && value.stringValue().isEmpty())) {
        throw json.source.unsupported(affix, value, "none");
      }
    }
    JsonNode dropout = json.model("dropout");
    if (!dropout.isMissingNode()
        && !dropout.isNull()
        && !(dropout.isNumber() && dropout.doubleValue() == 0)) {
      throw json.source.unsupported("dropout", dropout, "none");
    }
  }

  /** The tokens of bytes, by which unknown characters are spelled; null if the model has none. */
  static int[] fallback(TokenizerJson json, Vocabulary vocabulary, TokenDecoder decoder) {
    if (!json.flag("byte_fallback")) {
      return null;
    }
    if (!decoder.byteFallback()) {
      throw json.source.trouble("has byte_fallback, but no decoder ByteFallback");
    }
    return vocabulary.ofBytes(json, decoder);
  }
}

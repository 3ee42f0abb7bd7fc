package panamoe.data.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The bytes and names of a tokenizer's tokens.
 *
 * @param bytes of each token; empty for a special one
 * @param special the special tokens by name
 * @param ofModel the tokens that encoding can produce by their names
 */
record Vocabulary(byte[][] bytes, Map<String, Integer> special, Map<String, Integer> ofModel) {

  static Vocabulary of(TokenizerJson json, List<AddedToken> added, TokenDecoder decoder) {
    Source source = json.source;
    List<byte[]> bytes = new ArrayList<>();
    Map<String, Integer> special = new HashMap<>();
    Set<String> addedNames = new HashSet<>();
    for (AddedToken token : added) {
      // Gemma adds tokens of several spaces, which merges also make.
      byte[] spelled =
          decoder.byteLevel() && !token.borders().verbatim()
              ? token.content().getBytes(StandardCharsets.UTF_8)
              : decoder.bytes(token.content());
      put(bytes, token.id(), token.special() ? new byte[0] : spelled, token.content(), source);
      addedNames.add(token.content());
      if (token.special()) {
        special.put(token.content(), token.id());
      }
    }
    Map<String, Integer> ofModel = new HashMap<>(2 * json.vocabulary.size());
    json.vocabulary.forEach(
        (name, id) -> {
          // A model's vocabulary often lists its added tokens too.
          if (!addedNames.contains(name)) {
            put(bytes, id, decoder.bytes(name), name, source);
          }
          if (name.isEmpty()) {
            throw source.trouble("has a token without a name in its vocabulary");
          }
          // Tokens must decode to the text they encode, so the model never produces a special
          // token.
          if (decoder.spells(name, bytes.get(id))) {
            ofModel.put(name, id);
          }
        });
    int gap = bytes.indexOf(null);
    if (gap >= 0 || bytes.isEmpty()) {
      throw source.trouble(gap >= 0 ? "has no token with the number " + gap : "has no vocabulary");
    }
    return new Vocabulary(bytes.toArray(byte[][]::new), Map.copyOf(special), ofModel);
  }

  /** The token of each byte; -1 for bytes that do not occur in UTF-8 is allowed. */
  int[] ofBytes(TokenizerJson json, TokenDecoder decoder) {
    int[] tokens = new int[256];
    for (int value = 0; value < tokens.length; value++) {
      Integer token = json.vocabulary.get(decoder.byteName(value));
      boolean known = token != null && Arrays.equals(bytes[token], new byte[] {(byte) value});
      tokens[value] = known ? token : -1;
      boolean inUtf8 = value < 0xc0 || value >= 0xc2 && value < 0xf5;
      if (!known && inUtf8) {
        throw json.source.trouble(
            "has no token for the byte " + value + ", so not every text can be encoded");
      }
    }
    return tokens;
  }

  private static void put(List<byte[]> all, int id, byte[] bytes, String name, Source source) {
    while (all.size() <= id) {
      all.add(null);
    }
    if (all.set(id, bytes) != null) {
      throw source.trouble(
          "gives the number " + id + " to two tokens, one of them " + Source.shown(name));
    }
  }
}

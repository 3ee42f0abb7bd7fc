package panamoe.data.bpe;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The bytes and names of a file's tokens.
 *
 * @param bytes of each token; empty for a special one
 * @param special the special tokens by name
 * @param ofModel the tokens that encoding can produce, by name in the alphabet of bytes
 */
record Vocabulary(byte[][] bytes, Map<String, Integer> special, Map<String, Integer> ofModel) {

  static Vocabulary of(TokenizerJson json, List<AddedToken> added) {
    Source source = json.source;
    List<byte[]> bytes = new ArrayList<>();
    Map<String, Integer> special = new HashMap<>();
    Set<String> addedNames = new HashSet<>();
    for (AddedToken token : added) {
      put(
          bytes,
          token.id(),
          token.special() ? new byte[0] : token.content().getBytes(StandardCharsets.UTF_8),
          token.content(),
          source);
      addedNames.add(token.content());
      if (token.special()) {
        special.put(token.content(), token.id());
      }
    }
    Map<String, Integer> ofModel = new HashMap<>(2 * json.vocabulary.size());
    json.vocabulary.forEach(
        (name, id) -> {
          byte[] spelled = ByteAlphabet.bytes(name);
          // A model's vocabulary often lists its added tokens too.
          if (!addedNames.contains(name)) {
            put(
                bytes,
                id,
                spelled != null ? spelled : name.getBytes(StandardCharsets.UTF_8),
                name,
                source);
          }
          if (name.isEmpty()) {
            throw source.trouble("has a token without a name in its vocabulary");
          }
          // Tokens must decode to the text they encode, so encoding never produces a special token.
          if (Arrays.equals(bytes.get(id), spelled)) {
            ofModel.put(name, id);
          }
        });
    int gap = bytes.indexOf(null);
    if (gap >= 0 || bytes.isEmpty()) {
      throw source.trouble(gap >= 0 ? "has no token with the number " + gap : "has no vocabulary");
    }
    return new Vocabulary(bytes.toArray(byte[][]::new), Map.copyOf(special), ofModel);
  }

  /** The token of each byte; -1 is allowed for bytes that do not occur in UTF-8. */
  int[] ofBytes(Source source) {
    int[] tokens = new int[256];
    for (int value = 0; value < tokens.length; value++) {
      tokens[value] = ofModel.getOrDefault(ByteAlphabet.name(new byte[] {(byte) value}, 1), -1);
      boolean inUtf8 = value < 0xc0 || value >= 0xc2 && value < 0xf5;
      if (tokens[value] < 0 && inUtf8) {
        throw source.trouble(
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

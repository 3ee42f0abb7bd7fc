package panamoe.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import panamoe.io.StrictJson;

/**
 * What the tokens of a {@code tokenizer.json} stand for.
 *
 * @param bytes of each token; none for a special one
 * @param special the tokens that stand for no text, by name
 */
record JsonVocabulary(byte[][] bytes, Map<String, Integer> special) {
  private static final int MAX_TOKENS = 4_000_000;

  static JsonVocabulary parse(byte[] json, String file) {
    try {
      return new Parser(file, new ArrayList<>(), new HashMap<>()).parse(StrictJson.tree(json));
    } catch (IOException e) {
      throw new DataException(file + " is not valid JSON: " + StrictJson.reason(e), e);
    }
  }

  private record Parser(String file, List<byte[]> bytes, Map<String, Integer> special) {

    JsonVocabulary parse(JsonNode root) {
      Function<String, byte[]> decoder = decoder(root.path("decoder"));
      JsonNode added = root.path("added_tokens");
      for (JsonNode token : added) {
        String content = token.path("content").asText();
        if (content.isEmpty()) {
          throw new DataException(file + " has an added token without content");
        }
        boolean isSpecial = token.path("special").asBoolean();
        int id = id(token.path("id"), content);
        put(id, isSpecial ? new byte[0] : content.getBytes(StandardCharsets.UTF_8), content);
        if (isSpecial) {
          // A text that spells a special token is encoded in two parts of it.
          if (content.codePointCount(0, content.length()) < 2) {
            throw new DataException(file + " has the special token '" + content + "', expected two characters or more");
          }
          special.put(content, id);
        }
      }
      // A model's vocabulary often lists its added tokens once more.
      Map<String, Integer> known = new HashMap<>();
      added.forEach(token -> known.put(token.path("content").asText(), token.path("id").asInt()));
      JsonNode vocabulary = root.path("model").path("vocab");
      for (Map.Entry<String, JsonNode> entry : vocabulary.properties()) {
        int id = id(entry.getValue(), entry.getKey());
        if (known.getOrDefault(entry.getKey(), -1) != id) {
          put(id, decoder.apply(entry.getKey()), entry.getKey());
        }
      }
      for (int id = 0; vocabulary.isArray() && id < vocabulary.size(); id++) {
        String content = vocabulary.path(id).path(0).asText();
        if (known.getOrDefault(content, -1) != id) {
          put(id, decoder.apply(content), content);
        }
      }
      int gap = bytes.indexOf(null);
      if (gap >= 0 || bytes.isEmpty()) {
        throw new DataException(file + (gap >= 0 ? " has no token with the number " + gap : " has no vocabulary"));
      }
      return new JsonVocabulary(bytes.toArray(byte[][]::new), Map.copyOf(special));
    }

    private void put(int id, byte[] value, String content) {
      while (bytes.size() <= id) {
        bytes.add(null);
      }
      if (bytes.set(id, value) != null) {
        throw new DataException(file + " gives the number " + id + " to two tokens, one of them '" + content + "'");
      }
    }

    private int id(JsonNode number, String content) {
      if (!number.isInt() || number.asInt() < 0 || number.asInt() >= MAX_TOKENS) {
        throw new DataException(file + " gives the token '" + content + "' the number " + number
            + ", expected 0 to " + (MAX_TOKENS - 1));
      }
      return number.asInt();
    }

    /** How a token's name in the file becomes bytes. */
    private Function<String, byte[]> decoder(JsonNode decoder) {
      List<String> types = new ArrayList<>();
      types.add(decoder.path("type").asText());
      decoder.path("decoders").forEach(part -> types.add(part.path("type").asText()));
      if (types.contains("ByteLevel")) {
        return JsonVocabulary::byteLevel;
      }
      if (types.contains("ByteFallback") || types.contains("Metaspace")) {
        return JsonVocabulary::withFallback;
      }
      if (!decoder.has("type")) {
        throw new DataException(file + " is no tokenizer: it has no decoder");
      }
      throw new DataException(file + " has the unsupported decoder " + decoder.path("type")
          + ", expected ByteLevel, ByteFallback or Metaspace");
    }
  }

  /** GPT-2 writes each byte as one printable character: itself, or the next free one from U+0100 on. */
  private static byte[] byteLevel(String token) {
    byte[] bytes = new byte[token.length()];
    for (int i = 0; i < bytes.length; i++) {
      int index = BYTE_LEVEL.indexOf(token.charAt(i));
      if (index < 0) {
        return token.getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) index;
    }
    return bytes;
  }

  private static final String BYTE_LEVEL = byteLevelAlphabet();

  private static String byteLevelAlphabet() {
    StringBuilder alphabet = new StringBuilder();
    char free = 0x100;
    for (char value = 0; value < 256; value++) {
      boolean printable = value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae;
      alphabet.append(printable ? value : free++);
    }
    return alphabet.toString();
  }

  /** SentencePiece writes a space as U+2581 and a byte that no token covers as {@code <0xAB>}. */
  private static byte[] withFallback(String token) {
    if (token.matches("<0x[0-9A-Fa-f]{2}>")) {
      return new byte[] {(byte) Integer.parseInt(token, 3, 5, 16)};
    }
    return token.replace('\u2581', ' ').getBytes(StandardCharsets.UTF_8);
  }
}

package panamoe.data.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.StringNode;

/**
 * Converts Kimi's file, {@code tiktoken.model}, to a {@code tokenizer.json}. Each line is a token's
 * bytes in Base64 and its number. Of neighbours that form a token, those that form the lowest one
 * are merged first. The pattern is in Kimi's code, not in a file.
 */
public final class Tiktoken {
  /** Kimi's code names this number of tokens behind the file's, or more. */
  private static final int RESERVED = 256;

  private static final String CLASS = "TikTokenTokenizer";

  private Tiktoken() {}

  /**
   * Reads a tokenizer.
   *
   * @param model the content of the file
   * @param config {@code tokenizer_config.json}, which names the special tokens
   * @param file its name, for messages
   * @throws panamoe.io.DataException if it is damaged, or another tokenizer's
   */
  public static Pipeline read(byte[] model, JsonNode config, String file) {
    return new Pipeline(convert(model, config, new Source(file)));
  }

  /** The tokenizer of {@link #read} as the content of a {@code tokenizer.json}. */
  public static byte[] json(byte[] model, JsonNode config, String file) {
    return convert(model, config, new Source(file)).write();
  }

  private static TokenizerJson convert(byte[] model, JsonNode config, Source source) {
    if (!config.path("tokenizer_class").asString("").equals(CLASS)) {
      throw source.unsupported(
          "tokenizer_class in tokenizer_config.json",
          config.path("tokenizer_class"),
          CLASS + ", Kimi's, because the file does not say how text is split");
    }
    TokenizerJson json = new TokenizerJson(source);
    new String(model, StandardCharsets.ISO_8859_1).lines().forEach(line -> add(line, json));
    json.putModel("type", StringNode.valueOf("BPE"));
    json.putPart("pre_tokenizer", GgufPatterns.KIMI.preTokenizer());
    json.putPart("decoder", GgufTokenizer.type("ByteLevel"));
    json.putPart("added_tokens", special(json, config.path("added_tokens_decoder")));
    return json;
  }

  private static void add(String line, TokenizerJson json) {
    int number = json.scores.size();
    String[] parts = line.split(" ");
    if (parts.length == 2 && parts[1].equals(Integer.toString(number))) {
      try {
        byte[] bytes = Base64.getDecoder().decode(parts[0]);
        json.add(ByteAlphabet.name(bytes, bytes.length), -number);
        return;
      } catch (IllegalArgumentException _) {
        // refused below
      }
    }
    throw json.source.trouble(
        "has the line %s, expected a token in Base64 and %s", Source.shown(line), number);
  }

  private static ArrayNode special(TokenizerJson json, JsonNode named) {
    int first = json.scores.size();
    Map<Integer, JsonNode> tokens = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : named.properties()) {
      tokens.put(SentencePiece.number(entry.getKey(), json.source).intValue(), entry.getValue());
    }
    ArrayNode added = JsonNodeFactory.instance.arrayNode();
    for (int id = first; id < first + RESERVED; id++) {
      tokens.putIfAbsent(
          id,
          JsonNodeFactory.instance.objectNode().put("content", "<|reserved_token_" + id + "|>"));
    }
    tokens.forEach(
        (id, token) ->
            added
                .addObject()
                .put("id", id)
                .put("content", token.path("content").asString(""))
                .put("special", token.path("special").asBoolean(true))
                .put("normalized", false));
    return added;
  }
}

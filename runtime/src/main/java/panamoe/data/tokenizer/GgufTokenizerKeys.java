package panamoe.data.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/**
 * Converts a {@code tokenizer.json} of byte-level BPE to a GGUF file's metadata, which {@link
 * GgufTokenizer} reads.
 */
public final class GgufTokenizerKeys {
  static final int NORMAL = 1;
  static final int UNKNOWN = 2;
  static final int CONTROL = 3;
  static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  static final int BYTE = 6;

  private GgufTokenizerKeys() {}

  /**
   * The keys {@code tokenizer.ggml.*} for the vocabulary and the splitting of text.
   *
   * @param file its name, for messages
   * @param vocabulary size of the model; tokens beyond the tokenizer's are named padding
   * @throws DataException if it is of another kind, or GGUF has no name for its patterns
   */
  public static Map<String, Object> of(byte[] json, String file, int vocabulary) {
    TokenizerJson read = TokenizerJson.read(json, file);
    if (!read.model("type").asString("").equals("BPE")) {
      throw read.source.unsupported("model of a GGUF export", read.model("type"), "BPE");
    }
    Map<String, Object> keys = new LinkedHashMap<>();
    if (read.part("decoder").path("type").asString("").equals("ByteLevel")) {
      putBytePairs(read, keys);
    } else {
      putCharacterPairs(read, vocabulary, keys);
    }
    putTokens(read, vocabulary, keys);
    return keys;
  }

  private static void putBytePairs(TokenizerJson read, Map<String, Object> keys) {
    if (!absent(read.part("normalizer"))) {
      throw read.source.unsupported(
          "normalizer of a GGUF export", read.part("normalizer").path("type"), "none");
    }
    List<String> merges = new ArrayList<>();
    for (int i = 0; i < read.merges.size(); i += 2) {
      merges.add(read.merges.get(i) + " " + read.merges.get(i + 1));
    }
    keys.put("model", "gpt2");
    keys.put("pre", GgufPatterns.name(splits(read), read.flag("ignore_merges"), read.source));
    keys.put("merges", merges);
  }

  private static void putCharacterPairs(
      TokenizerJson read, int vocabulary, Map<String, Object> keys) {
    List<String> stages = new ArrayList<>();
    JsonNode normalizer = read.part("normalizer");
    if (normalizer.path("type").asString("").equals("Sequence")) {
      normalizer.path("normalizers").forEach(each -> stages.add(each.path("type").asString("")));
    } else {
      stages.add(normalizer.path("type").asString(""));
    }
    boolean prefixed = stages.equals(List.of("Prepend", "Replace"));
    if (!prefixed && !stages.equals(List.of("Replace")) || !absent(read.part("pre_tokenizer"))) {
      throw unnamed(read.source);
    }
    if (!read.flag("byte_fallback")) {
      throw read.source.trouble("has no byte_fallback, without which GGUF has no form for it");
    }
    keys.put("model", "llama");
    keys.put("pre", "default");
    keys.put("add_space_prefix", prefixed);
    keys.put(
        "scores",
        MergeScores.scores(read, vocabulary)
            .orElseThrow(
                () ->
                    read.source.trouble(
                        "lists merges that do not follow from scores of its tokens, as GGUF has"
                            + " them")));
    Integer unknown = read.vocabulary.get(read.model("unk_token").asString(""));
    if (unknown != null) {
      keys.put("unknown_token_id", unknown);
    }
  }

  private static void putTokens(TokenizerJson read, int vocabulary, Map<String, Object> keys) {
    String[] tokens = new String[vocabulary];
    int[] types = new int[vocabulary];
    Arrays.fill(types, UNUSED);
    boolean bytes = read.flag("byte_fallback");
    read.vocabulary.forEach(
        (name, id) -> {
          tokens[id] = name;
          types[id] = bytes && TokenDecoder.BYTE.matcher(name).matches() ? BYTE : NORMAL;
        });
    for (JsonNode added : read.part("added_tokens")) {
      int id = added.path("id").asInt();
      String name = added.path("content").asString("");
      // GGUF's are sought in the text as it is given, SentencePiece's in the normalised text.
      boolean verbatim = added.path(AddedToken.VERBATIM).asBoolean(false);
      tokens[id] = verbatim ? name.replace(TokenDecoder.SPACE, ' ') : name;
      types[id] = added.path("special").asBoolean() ? CONTROL : USER_DEFINED;
    }
    if (keys.get("unknown_token_id") instanceof Integer unknown) {
      types[unknown] = UNKNOWN;
    }
    for (int id = 0; id < vocabulary; id++) {
      tokens[id] = tokens[id] == null ? "[PAD" + id + "]" : tokens[id];
    }
    keys.put("tokens", List.of(tokens));
    keys.put("token_type", types);
  }

  private static boolean absent(JsonNode part) {
    return part.isMissingNode() || part.isNull();
  }

  /** The patterns of the stages before ByteLevel, the last one; empty for ByteLevel's own. */
  private static List<String> splits(TokenizerJson read) {
    JsonNode part = read.part("pre_tokenizer");
    List<JsonNode> stages = new ArrayList<>();
    if (part.path("type").asString("").equals("Sequence")) {
      part.path("pretokenizers").forEach(stages::add);
    } else {
      stages.add(part);
    }
    List<String> patterns = new ArrayList<>();
    for (JsonNode stage : stages) {
      switch (stage.path("type").asString("")) {
        case "Split" -> patterns.add(stage.path("pattern").path("Regex").asString(""));
        case "Digits" ->
            patterns.add(stage.path("individual_digits").asBoolean(false) ? "\\p{N}" : "");
        case "ByteLevel" -> {
          boolean own = stage.path("use_regex").asBoolean(true);
          if (stage.path("add_prefix_space").asBoolean(true) || !own && patterns.isEmpty()) {
            throw unnamed(read.source);
          }
          if (own && !patterns.isEmpty()) {
            patterns.add(PreTokenizer.GPT2_PATTERN);
          }
        }
        default -> throw unnamed(read.source);
      }
    }
    return patterns;
  }

  static DataException unnamed(Source source) {
    return source.unsupported(
        "pre_tokenizer of a GGUF export",
        StringNode.valueOf("one of its own"),
        "that of a family which GGUF has a name for");
  }
}

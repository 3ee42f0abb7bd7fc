package panamoe.data.tokenizer;

import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * The tokenizer in a GGUF file's metadata, put in the form of a {@code tokenizer.json}: {@code
 * gpt2} is byte-pair encoding over bytes, {@code llama} over characters, merged by scores, and
 * {@code t5} is Unigram.
 */
public final class GgufTokenizer {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final String SPACE = String.valueOf(TokenDecoder.SPACE);

  private final TokenizerMetadata metadata;
  private final TokenizerJson json;

  private GgufTokenizer(TokenizerMetadata metadata) {
    this.metadata = metadata;
    this.json = new TokenizerJson(metadata.source());
  }

  /**
   * @return empty if the file says that its model has no tokenizer
   * @throws panamoe.data.DataException if it is incomplete or unsupported
   */
  public static Optional<Pipeline> read(TokenizerMetadata metadata) {
    return put(metadata).map(Pipeline::new);
  }

  /**
   * The same as the content of a {@code tokenizer.json}.
   *
   * @return empty if the file says that its model has no tokenizer
   * @throws panamoe.data.DataException if it is incomplete or unsupported
   */
  public static Optional<byte[]> json(TokenizerMetadata metadata) {
    return put(metadata).map(TokenizerJson::write);
  }

  private static Optional<TokenizerJson> put(TokenizerMetadata metadata) {
    String model = metadata.text("model").orElse("");
    GgufTokenizer tokenizer = new GgufTokenizer(metadata);
    switch (model) {
      case "no_vocab" -> {
        return Optional.empty();
      }
      case "gpt2" -> tokenizer.bytePairs();
      case "llama" -> tokenizer.characterPairs();
      case "t5" -> tokenizer.unigram();
      default ->
          throw metadata
              .source()
              .unsupported(
                  "tokenizer.ggml.model", StringNode.valueOf(model), "gpt2, llama, t5 or no_vocab");
    }
    return Optional.of(tokenizer.json);
  }

  private void bytePairs() {
    List<String> tokens = names();
    for (String name : tokens) {
      if (json.vocabulary.putIfAbsent(name, json.vocabulary.size()) != null) {
        throw json.source.trouble("has the token " + Source.shown(name) + " twice");
      }
    }
    addedTokens(tokens);
    metadata.texts("merges").forEach(json::addMerge);
    json.putModel("type", StringNode.valueOf("BPE"));
    GgufPatterns patterns = GgufPatterns.of(metadata);
    json.putModel("ignore_merges", BooleanNode.valueOf(patterns.wholeWords()));
    json.putPart("pre_tokenizer", patterns.preTokenizer());
    json.putPart("decoder", type("ByteLevel"));
    prefix(tokens, patterns.begins());
  }

  private void characterPairs() {
    prefix(scoredTokens(), true);
    json.putModel("type", StringNode.valueOf("BPE"));
    json.putModel("byte_fallback", BooleanNode.TRUE);
    metadata
        .token("unknown", json.scores.size())
        .ifPresent(id -> json.putModel("unk_token", StringNode.valueOf(names().get(id))));
    ArrayNode normalizers = NODES.arrayNode();
    if (metadata.flag("add_space_prefix", true)) {
      normalizers.add(type("Prepend").put("prepend", SPACE));
    }
    normalizers.add(replacement("String", " ", SPACE));
    sequence("normalizer", "normalizers", normalizers);
    sentencePieceDecoder();
  }

  private void unigram() {
    prefix(scoredTokens(), false);
    json.putModel("type", StringNode.valueOf("Unigram"));
    json.putModel(
        "unk_id", IntNode.valueOf(metadata.token("unknown", json.scores.size()).orElse(-1)));
    ArrayNode normalizers = NODES.arrayNode();
    byte[] table = metadata.bytes("precompiled_charsmap");
    if (table.length > 0) {
      normalizers.add(
          type("Precompiled")
              .put("precompiled_charsmap", Base64.getEncoder().encodeToString(table)));
    }
    boolean removes = metadata.flag("remove_extra_whitespaces", false);
    if (metadata.flag("add_space_prefix", true)) {
      normalizers.add(type("Prepend").put("prepend", " "));
    } else if (removes) {
      normalizers.add(type("Strip").put("strip_right", false));
    }
    if (removes) {
      normalizers.add(replacement("Regex", " {2,}", " "));
    }
    normalizers.add(replacement("String", " ", SPACE));
    if (removes) {
      normalizers.add(replacement("Regex", SPACE + "+\\z", ""));
    }
    sequence("normalizer", "normalizers", normalizers);
    sentencePieceDecoder();
  }

  /** Names end before a NUL, as C's strings do; what has none is called by its number. */
  private List<String> names() {
    List<String> names = metadata.texts("tokens");
    for (int i = 0; i < names.size(); i++) {
      int end = names.get(i).indexOf(0);
      String name = end < 0 ? names.get(i) : names.get(i).substring(0, end);
      names.set(i, name.isEmpty() ? "[EMPTY_" + i + "]" : name);
    }
    return names;
  }

  private List<String> scoredTokens() {
    List<String> tokens = names();
    double[] scores = metadata.numbers("scores", tokens.size());
    for (int i = 0; i < scores.length; i++) {
      json.add(tokens.get(i), scores[i]);
    }
    addedTokens(tokens);
    return tokens;
  }

  /**
   * @param usually whether a text begins with the beginning-of-text token if the file does not say
   */
  private void prefix(List<String> tokens, boolean usually) {
    OptionalInt begin = metadata.token("bos", tokens.size());
    if (begin.isEmpty() || !metadata.flag("add_bos_token", usually)) {
      return;
    }
    String name = tokens.get(begin.getAsInt());
    ObjectNode template = type("TemplateProcessing");
    template.putArray("single").addObject().putObject("SpecialToken").put("id", name);
    template.putObject("special_tokens").putObject(name).putArray("ids").add(begin.getAsInt());
    json.putPart("post_processor", template);
  }

  /** Control, unknown and unused tokens are special: no plain text becomes one of them. */
  private void addedTokens(List<String> tokens) {
    double[] types =
        metadata.has("token_type") ? metadata.numbers("token_type", tokens.size()) : new double[0];
    ArrayNode added = NODES.arrayNode();
    for (int i = 0; i < types.length; i++) {
      if (types[i] != GgufTokenizerKeys.NORMAL && types[i] != GgufTokenizerKeys.BYTE) {
        added
            .addObject()
            .put("id", i)
            .put("content", tokens.get(i))
            .put("special", types[i] != GgufTokenizerKeys.USER_DEFINED)
            .put("normalized", false);
      }
    }
    json.putPart("added_tokens", added);
  }

  private void sentencePieceDecoder() {
    ArrayNode decoders = NODES.arrayNode();
    decoders.add(replacement("String", SPACE, " ")).add(type("ByteFallback")).add(type("Fuse"));
    boolean prefixed = metadata.flag("add_space_prefix", true);
    decoders.add(type("Strip").put("content", " ").put("start", prefixed ? 1 : 0).put("stop", 0));
    sequence("decoder", "decoders", decoders);
  }

  private void sequence(String part, String name, ArrayNode elements) {
    ObjectNode sequence = type("Sequence");
    sequence.set(name, elements);
    json.putPart(part, sequence);
  }

  private static ObjectNode replacement(String kind, String pattern, String content) {
    ObjectNode replacement = type("Replace").put("content", content);
    replacement.putObject("pattern").put(kind, pattern);
    return replacement;
  }

  static ObjectNode type(String type) {
    return NODES.objectNode().put("type", type);
  }
}

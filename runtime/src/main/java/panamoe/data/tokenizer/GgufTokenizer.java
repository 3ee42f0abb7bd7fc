package panamoe.data.tokenizer;

import static panamoe.data.tokenizer.GgufTokenizerKeys.BYTE;
import static panamoe.data.tokenizer.GgufTokenizerKeys.NORMAL;
import static panamoe.data.tokenizer.GgufTokenizerKeys.USER_DEFINED;

import java.util.Arrays;
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
 * Converts the tokenizer in a GGUF file's metadata to a {@code tokenizer.json}: {@code gpt2} is
 * byte-pair encoding over bytes, {@code llama} over characters with scores, {@code gemma4} over
 * characters with merges, {@code t5} is Unigram.
 */
public final class GgufTokenizer {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final String SPACE = String.valueOf(TokenDecoder.SPACE);

  private final TokenizerMetadata metadata;
  private final TokenizerJson json;

  /** The kinds of the tokens; empty if the file does not say. */
  private double[] types = new double[0];

  private GgufTokenizer(TokenizerMetadata metadata) {
    this.metadata = metadata;
    this.json = new TokenizerJson(metadata.source());
  }

  /**
   * @return empty if the file says that it has no tokenizer
   * @throws panamoe.io.DataException if it is incomplete or unsupported
   */
  public static Optional<Pipeline> read(TokenizerMetadata metadata) {
    return convert(metadata).map(Pipeline::new);
  }

  /**
   * The tokenizer as the content of a {@code tokenizer.json}.
   *
   * @return empty if the file says that it has no tokenizer
   * @throws panamoe.io.DataException if it is incomplete or unsupported
   */
  public static Optional<byte[]> json(TokenizerMetadata metadata) {
    return convert(metadata).map(TokenizerJson::write);
  }

  static Optional<TokenizerJson> convert(TokenizerMetadata metadata) {
    String model = metadata.text("model").orElse("");
    GgufTokenizer tokenizer = new GgufTokenizer(metadata);
    switch (model) {
      case "no_vocab", "none" -> {
        return Optional.empty();
      }
      case "gpt2" -> tokenizer.bytePairs();
      case "llama" -> tokenizer.sentencePiece("BPE", true);
      case "t5" -> tokenizer.sentencePiece("Unigram", false);
      case "gemma4" -> tokenizer.gemma4();
      default ->
          throw metadata
              .source()
              .unsupported(
                  "tokenizer.ggml.model",
                  StringNode.valueOf(model),
                  "gpt2, llama, t5, gemma4 or no_vocab");
    }
    return Optional.of(tokenizer.json);
  }

  private void bytePairs() {
    List<String> tokens = pairedTokens();
    GgufPatterns patterns = GgufPatterns.of(metadata);
    json.putModel("ignore_merges", BooleanNode.valueOf(patterns.wholeWords()));
    json.putPart("pre_tokenizer", patterns.preTokenizer());
    json.putPart("decoder", type("ByteLevel"));
    template(tokens, metadata.flag("add_bos_token", patterns.begins()));
  }

  /** Pairs of characters with listed merges. As in llama.cpp, every prompt has a beginning. */
  private void gemma4() {
    List<String> tokens = pairedTokens();
    spellsUnknown(tokens);
    sequence("normalizer", "normalizers", NODES.arrayNode().add(replacement("String", " ", SPACE)));
    decoder(false);
    template(tokens, true);
  }

  /**
   * @param begins whether a prompt begins with a token if the file does not say
   */
  private void sentencePiece(String type, boolean begins) {
    List<String> tokens = names();
    double[] scores = metadata.numbers("scores", tokens.size());
    for (int i = 0; i < scores.length; i++) {
      json.add(tokens.get(i), scores[i]);
    }
    addedTokens(tokens);
    json.putModel("type", StringNode.valueOf(type));
    spellsUnknown(tokens);
    sequence("normalizer", "normalizers", normalizers(tokens));
    decoder(prefixed());
    template(tokens, metadata.flag("add_bos_token", begins));
  }

  /** Unknown characters are spelled by bytes if the vocabulary has tokens of bytes. */
  private void spellsUnknown(List<String> tokens) {
    if (types.length == 0 || Arrays.stream(types).anyMatch(each -> each == BYTE)) {
      json.putModel("byte_fallback", BooleanNode.TRUE);
    }
    json.putModel("fuse_unk", BooleanNode.TRUE);
    OptionalInt unknown = metadata.token("unknown", tokens.size());
    json.putModel("unk_id", IntNode.valueOf(unknown.orElse(-1)));
    unknown.ifPresent(id -> json.putModel("unk_token", StringNode.valueOf(tokens.get(id))));
  }

  private void decoder(boolean dropsFirstSpace) {
    ArrayNode decoders = NODES.arrayNode();
    decoders.add(replacement("String", SPACE, " ")).add(type("ByteFallback")).add(type("Fuse"));
    int start = dropsFirstSpace ? 1 : 0;
    decoders.add(type("Strip").put("content", " ").put("start", start).put("stop", 0));
    sequence("decoder", "decoders", decoders);
  }

  private boolean prefixed() {
    return metadata.flag("add_space_prefix", true);
  }

  private ArrayNode normalizers(List<String> tokens) {
    ArrayNode normalizers = NODES.arrayNode();
    byte[] table = metadata.bytes("precompiled_charsmap");
    if (table.length > 0) {
      ArrayNode kept =
          normalizers
              .add(
                  type("Precompiled")
                      .put("precompiled_charsmap", Base64.getEncoder().encodeToString(table)))
              .get(0)
              .withArray(CharsMap.KEPT);
      for (int i = 0; i < types.length; i++) {
        if (types[i] == USER_DEFINED) {
          kept.add(tokens.get(i));
        }
      }
    }
    boolean removes = metadata.flag("remove_extra_whitespaces", false);
    if (prefixed()) {
      normalizers.add(type("Prepend").put("prepend", removes ? " " : SPACE));
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
    return normalizers;
  }

  /** Names end at a NUL, like C strings; a token without a name is named by its number. */
  private List<String> names() {
    List<String> names = metadata.texts("tokens");
    for (int i = 0; i < names.size(); i++) {
      int end = names.get(i).indexOf(0);
      String name = end < 0 ? names.get(i) : names.get(i).substring(0, end);
      names.set(i, name.isEmpty() ? "[EMPTY_" + i + "]" : name);
    }
    return names;
  }

  private List<String> pairedTokens() {
    List<String> tokens = names();
    for (String name : tokens) {
      if (json.vocabulary.putIfAbsent(name, json.vocabulary.size()) != null) {
        throw json.source.trouble("has the token " + Source.shown(name) + " twice");
      }
    }
    addedTokens(tokens);
    metadata.texts("merges").forEach(json::addMerge);
    json.putModel("type", StringNode.valueOf("BPE"));
    return tokens;
  }

  /**
   * @param begins whether a text begins with the beginning-of-text token, if there is one
   */
  private void template(List<String> tokens, boolean begins) {
    ObjectNode template = type("TemplateProcessing");
    ArrayNode single = template.putArray("single");
    ObjectNode special = template.putObject("special_tokens");
    add("bos", begins, tokens, single, special);
    single.addObject().putObject("Sequence").put("id", "A");
    add("eos", metadata.flag("add_eos_token", false), tokens, single, special);
    if (single.size() > 1) {
      json.putPart("post_processor", template);
    }
  }

  private void add(
      String kind, boolean adds, List<String> tokens, ArrayNode single, ObjectNode special) {
    OptionalInt token = metadata.token(kind, tokens.size());
    if (adds && token.isPresent()) {
      String name = tokens.get(token.getAsInt());
      single.addObject().putObject("SpecialToken").put("id", name);
      special.putObject(name).putArray("ids").add(token.getAsInt());
    }
  }

  /** Control, unknown and unused tokens are special: plain text never becomes one of them. */
  private void addedTokens(List<String> tokens) {
    if (metadata.has("token_type")) {
      types = metadata.numbers("token_type", tokens.size());
    }
    ArrayNode added = NODES.arrayNode();
    for (int i = 0; i < types.length; i++) {
      if (types[i] != NORMAL && types[i] != BYTE) {
        added
            .addObject()
            .put("id", i)
            .put("content", tokens.get(i))
            .put("special", types[i] != USER_DEFINED)
            .put("normalized", false);
      }
    }
    json.putPart("added_tokens", added);
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

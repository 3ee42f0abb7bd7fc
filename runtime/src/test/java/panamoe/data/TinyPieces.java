package panamoe.data;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Tokenizers of SentencePiece's kind, learnt from the sentences of {@link TinyTokenizer}: three
 * special tokens, 256 bytes, then characters and what merges made of them.
 */
public final class TinyPieces {
  static final String SPACE = "\u2581";

  private TinyPieces() {}

  /** By merges, as in files of Llama 2 and Mixtral; to be changed by the caller. */
  public static ObjectNode pairs() {
    ObjectNode json = outer();
    ObjectNode model =
        json.putObject("model")
            .put("type", "BPE")
            .put("unk_token", "<unk>")
            .put("fuse_unk", true)
            .put("byte_fallback", true)
            .put("ignore_merges", false);
    ObjectNode vocabulary = model.putObject("vocab");
    learn(vocabulary, model.putArray("merges"));
    return json;
  }

  /** By scores, as in T5's and Switch's files; to be changed by the caller. */
  public static ObjectNode unigram() {
    ObjectNode json = outer();
    json.set("normalizer", TinyTokenizer.MAPPER.nullNode());
    json.set("pre_tokenizer", metaspace("always", true));
    ObjectNode model =
        json.putObject("model").put("type", "Unigram").put("unk_id", 0).put("byte_fallback", false);
    ObjectNode vocabulary = TinyTokenizer.MAPPER.createObjectNode();
    learn(vocabulary, TinyTokenizer.MAPPER.createArrayNode());
    ArrayNode scored = model.putArray("vocab");
    vocabulary
        .propertyNames()
        .forEach(
            name ->
                scored
                    .addArray()
                    .add(name)
                    .add(scored.size() < 259 ? 0 : -4 - scored.size() / 97.0 + name.length()));
    return json;
  }

  public static ObjectNode metaspace(String scheme, boolean splits) {
    return TinyTokenizer.MAPPER
        .createObjectNode()
        .put("type", "Metaspace")
        .put("replacement", SPACE)
        .put("prepend_scheme", scheme)
        .put("split", splits);
  }

  private static void learn(ObjectNode vocabulary, ArrayNode merges) {
    for (String name : List.of("<unk>", "<s>", "</s>")) {
      vocabulary.put(name, vocabulary.size());
    }
    for (int value = 0; value < 256; value++) {
      vocabulary.put(String.format("<0x%02X>", value), vocabulary.size());
    }
    List<List<String>> words = new ArrayList<>();
    for (String word : TinyTokenizer.TEXT.replace(" ", SPACE).split("(?=\u2581)|(?<=\n)")) {
      List<String> names = new ArrayList<>();
      word.codePoints().mapToObj(Character::toString).forEach(names::add);
      names.stream()
          .filter(name -> !vocabulary.has(name))
          .forEach(name -> vocabulary.put(name, vocabulary.size()));
      words.add(names);
    }
    TinyTokenizer.learn(words, vocabulary, merges);
  }

  private static ObjectNode outer() {
    ObjectNode json = TinyTokenizer.MAPPER.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding");
    ArrayNode added = json.putArray("added_tokens");
    for (String name : List.of("<unk>", "<s>", "</s>")) {
      added
          .addObject()
          .put("id", added.size() - 1)
          .put("content", name)
          .put("special", true)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false);
    }
    ArrayNode normalizers =
        json.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    normalizers.addObject().put("type", "Prepend").put("prepend", SPACE);
    replace(normalizers.addObject(), " ", SPACE);
    json.putNull("pre_tokenizer").putNull("post_processor");
    ArrayNode decoders = json.putObject("decoder").put("type", "Sequence").putArray("decoders");
    replace(decoders.addObject(), SPACE, " ");
    decoders.addObject().put("type", "ByteFallback");
    decoders.addObject().put("type", "Fuse");
    decoders.addObject().put("type", "Strip").put("content", " ").put("start", 1).put("stop", 0);
    return json;
  }

  private static void replace(ObjectNode part, String pattern, String content) {
    part.put("type", "Replace").put("content", content).putObject("pattern").put("String", pattern);
  }
}

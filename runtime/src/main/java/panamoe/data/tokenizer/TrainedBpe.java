package panamoe.data.tokenizer;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The tokens and merges that {@link BpeTrainer} has found, written as a {@code tokenizer.json}.
 *
 * @param tokens their names, in the alphabet of bytes, in the order of their ids
 * @param merges names of the two halves, with a space between
 * @param textBytes of the text it was trained on, in UTF-8
 * @param textTokens tokens of that text
 */
public record TrainedBpe(
    List<String> tokens, List<String> merges, long textBytes, long textTokens) {
  private static final String END_OF_TEXT = "<|endoftext|>";
  private static final JsonMapper MAPPER = JsonMapper.shared();

  /** Bytes alone, whose ids are their values, and the end of a text behind them. */
  public static TrainedBpe ofBytes() {
    List<String> names = new ArrayList<>();
    for (int value = 0; value < 256; value++) {
      names.add(ByteAlphabet.name(new byte[] {(byte) value}, 1));
    }
    names.add(END_OF_TEXT);
    return new TrainedBpe(names, List.of(), 0, 0);
  }

  /** The names of the first ids: the end of a text, and the bytes in the order of their names. */
  static List<String> firstTokens() {
    List<String> names = new ArrayList<>(ofBytes().tokens.subList(0, 256));
    names.sort(null);
    names.addFirst(END_OF_TEXT);
    return names;
  }

  /** The file's content. */
  public byte[] json() {
    ObjectNode json = MAPPER.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding");
    json.putArray("added_tokens")
        .addObject()
        .put("id", tokens.indexOf(END_OF_TEXT))
        .put("content", END_OF_TEXT)
        .put("single_word", false)
        .put("lstrip", false)
        .put("rstrip", false)
        .put("normalized", false)
        .put("special", true);
    json.putNull("normalizer");
    json.set("pre_tokenizer", byteLevel());
    json.putNull("post_processor");
    json.set("decoder", byteLevel());
    ObjectNode model =
        json.putObject("model")
            .put("type", "BPE")
            .putNull("dropout")
            .putNull("unk_token")
            .putNull("continuing_subword_prefix")
            .putNull("end_of_word_suffix")
            .put("fuse_unk", false)
            .put("byte_fallback", false)
            .put("ignore_merges", false);
    ObjectNode vocabulary = model.putObject("vocab");
    tokens.forEach(name -> vocabulary.put(name, vocabulary.size()));
    ArrayNode pairs = model.putArray("merges");
    merges.forEach(pairs::add);
    return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(json);
  }

  private static ObjectNode byteLevel() {
    return MAPPER
        .createObjectNode()
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
  }
}

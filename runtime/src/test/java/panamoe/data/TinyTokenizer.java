package panamoe.data;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A byte-level tokenizer of 256 bytes, 160 merges learnt from a few sentences, and five added
 * tokens.
 */
public final class TinyTokenizer {
  public static final JsonMapper MAPPER = JsonMapper.shared();
  private static final int MERGES = 160;
  static final String TEXT =
      """
      The hat that the other cat sat on is on the other mat; it isn't theirs, they'll say, it's 12345 times 100.
      Über größere Straßen fließen süße Flüsse. Où étaient les élèves l'été dernier ? Они жили-были у самого моря.
      今天天气很好，我们去公园散步。 aaaaaaaaaaaaaaaa    for (int i = 0; i < n; i++) {\n\n\t\treturn x[i];\n\t}
      """;

  private static final ObjectNode JSON = make();

  private TinyTokenizer() {}

  /** The file's content, to be changed by the caller. */
  public static ObjectNode json() {
    return JSON.deepCopy();
  }

  private static ObjectNode make() {
    ObjectNode json = MAPPER.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding");
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
    for (int value = 0; value < 256; value++) {
      vocabulary.put(name(value), value);
    }
    ArrayNode merges = model.putArray("merges");
    List<List<String>> words = new ArrayList<>();
    for (String word : TEXT.split("(?= )|(?<=\n)")) {
      List<String> names = new ArrayList<>();
      for (byte value : word.getBytes(StandardCharsets.UTF_8)) {
        names.add(name(value & 0xff));
      }
      words.add(names);
    }
    learn(words, vocabulary, merges);
    ArrayNode added = json.putArray("added_tokens");
    for (String content : List.of("<|endoftext|>", "<|im_start|>", "<think>", "  ", "été")) {
      boolean special = content.startsWith("<|");
      added
          .addObject()
          .put("id", vocabulary.size() + added.size() - 1)
          .put("content", content)
          .put("special", special)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", !special);
    }
    json.putNull("normalizer").putNull("post_processor");
    json.set("pre_tokenizer", byteLevel(false, true));
    json.set("decoder", byteLevel(false, true));
    return json;
  }

  public static ObjectNode byteLevel(boolean prefixesSpace, boolean usesRegex) {
    return MAPPER
        .createObjectNode()
        .put("type", "ByteLevel")
        .put("add_prefix_space", prefixesSpace)
        .put("trim_offsets", true)
        .put("use_regex", usesRegex);
  }

  /** A split by a pattern, then ByteLevel without one. */
  public static ObjectNode split(String kind, String pattern, String behavior, boolean inverted) {
    ObjectNode sequence = MAPPER.createObjectNode().put("type", "Sequence");
    ObjectNode split =
        sequence
            .putArray("pretokenizers")
            .addObject()
            .put("type", "Split")
            .put("behavior", behavior)
            .put("invert", inverted);
    split.putObject("pattern").put(kind, pattern);
    sequence.withArray("pretokenizers").add(byteLevel(false, false));
    return sequence;
  }

  /** The character that GPT-2 writes for a byte. */
  public static String name(int value) {
    int free = 0x100;
    for (int i = 0; i <= value; i++) {
      boolean printable = i > ' ' && i < 0x7f || i > 0xa0 && i != 0xad;
      if (i == value) {
        return String.valueOf((char) (printable ? i : free));
      }
      free += printable ? 0 : 1;
    }
    throw new IllegalArgumentException("no byte: " + value);
  }

  /**
   * Merges the most frequent pair of neighbours, the first in the order of names of equals, again
   * and again.
   */
  static void learn(List<List<String>> words, ObjectNode vocabulary, ArrayNode merges) {
    while (merges.size() < MERGES) {
      Map<List<String>, Integer> counts = new HashMap<>();
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          counts.merge(List.of(word.get(i), word.get(i + 1)), 1, Integer::sum);
        }
      }
      List<String> best =
          counts.keySet().stream()
              .max(
                  (a, b) ->
                      counts.get(a).equals(counts.get(b))
                          ? b.toString().compareTo(a.toString())
                          : counts.get(a) - counts.get(b))
              .orElseThrow();
      merges.add(best.get(0) + " " + best.get(1));
      String merged = best.get(0) + best.get(1);
      if (!vocabulary.has(merged)) {
        vocabulary.put(merged, vocabulary.size());
      }
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          if (word.get(i).equals(best.get(0)) && word.get(i + 1).equals(best.get(1))) {
            word.set(i, merged);
            word.remove(i + 1);
          }
        }
      }
    }
  }
}

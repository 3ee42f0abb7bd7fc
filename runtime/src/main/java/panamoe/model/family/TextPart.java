package panamoe.model.family;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.checkpoint.StoredTensor;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The text model of a released model, which may be a part of one that sees images: then its keys
 * are in {@code text_config} and its tensors below {@code language_model}, and the other parts are
 * left out. Immutable.
 *
 * @param values the text model's keys, like those of a model of text alone
 * @param within the place of the keys, as a prefix of their names; empty if there are no other
 *     parts
 */
record TextPart(ObjectNode values, String within) {
  /** Families of the text models, by the {@code model_type} of the whole. */
  static final Map<String, String> FAMILIES =
      new TreeMap<>(
          Map.of(
              "gemma3", "gemma3_text",
              "gemma4", "gemma4_text",
              "llama4", "llama4_text",
              "mistral3", "mistral"));

  static final String CONFIG = "text_config";
  private static final String TIED = "tie_word_embeddings";

  /** Keys of the whole that hold for the text model too, unless it has its own. */
  private static final Set<String> INHERITED =
      Stream.concat(Stream.of(TIED, "quantization_config"), Arrays.stream(Decoder.WITHOUT_MEANING))
          .collect(Collectors.toSet());

  /** What Gemma 3's files leave out because it is transformers' default. */
  private static final Map<String, Integer> OF_GEMMA3 =
      Map.of("vocab_size", 262_208, "max_position_embeddings", 131_072);

  private static final Pattern OTHER_KEY =
      Pattern.compile("(vision|image|video|audio|mm|multimodal|projector|spatial|[be]o[ai])_.+");

  private static final Pattern OTHER_TENSOR =
      Pattern.compile("(model\\.)?(vision_|audio_|multi_modal_|embed_vision|embed_audio).+");

  /** The keys that have the text model's family. */
  static TextPart of(Path file, ObjectNode whole) {
    String type = whole.path("model_type").asString("");
    String family = FAMILIES.get(type);
    return family == null ? new TextPart(whole, "") : within(new Keys(file, whole), whole, family);
  }

  private static TextPart within(Keys keys, ObjectNode whole, String family) {
    if (!(whole.get(CONFIG) instanceof ObjectNode own)) {
      String given = whole.has(CONFIG) ? whole.get(CONFIG).toString() : "missing";
      throw keys.bad(CONFIG, given, "an object with the keys of " + family);
    }
    String type = own.path("model_type").asString(family);
    if (!type.equals(family)) {
      String expected = family + ", the text model of " + whole.get("model_type").asString();
      throw keys.bad(CONFIG + ".model_type", type, expected);
    }
    ObjectNode text = own.deepCopy();
    for (String name : whole.propertyNames()) {
      if (INHERITED.contains(name) && !own.hasNonNull(name)) {
        text.set(name, whole.get(name));
      }
      if (INHERITED.contains(name) || OTHER_KEY.matcher(name).matches()) {
        keys.ignore(name);
      }
    }
    if (family.equals("gemma3_text")) {
      OF_GEMMA3.forEach((name, value) -> text.putIfAbsent(name, IntNode.valueOf(value)));
    }
    if (whole.hasNonNull(TIED) && !whole.get(TIED).equals(text.get(TIED))) {
      throw keys.bad(TIED, whole.get(TIED).toString(), text.get(TIED) + ", as in " + CONFIG);
    }
    keys.ignore(CONFIG);
    keys.requireAllRead();
    text.remove("architectures"); // the whole's
    return new TextPart(text.put("model_type", family), CONFIG + ".");
  }

  /**
   * The text model's tensors, by their names in a model of text alone. Newer files have them below
   * {@code model.language_model}. A model without a head may lack the prefix {@code model.}.
   */
  Map<String, StoredTensor> tensors(Map<String, StoredTensor> all) {
    Map<String, StoredTensor> text = new LinkedHashMap<>();
    if (within.isEmpty()) {
      boolean bare = all.containsKey("embed_tokens.weight");
      all.forEach((name, tensor) -> text.put(bare ? "model." + name : name, tensor));
      return text;
    }
    all.forEach(
        (name, tensor) -> {
          String plain = plain(name);
          if (!OTHER_TENSOR.matcher(name).matches()
              && text.putIfAbsent(plain, tensor) != null) { // in both spellings
            text.put(name, tensor);
          }
        });
    return text;
  }

  /** A name of the text model's, without the prefix that a model of several parts has. */
  static String plain(String name) {
    return name.replaceFirst("^language_model\\.(?=model\\.|lm_head\\.)", "")
        .replaceFirst("^model\\.language_model\\.", "model.");
  }
}

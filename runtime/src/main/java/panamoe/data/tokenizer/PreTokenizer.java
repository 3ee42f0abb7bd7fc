package panamoe.data.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import panamoe.data.regex.Regex;
import tools.jackson.databind.JsonNode;

/** Splits a text in stages into the pieces that a model encodes separately. */
record PreTokenizer(List<Stage> stages) {
  /** A stage, applied to each piece. */
  interface Stage {
    /**
     * Returns a sink that splits pieces and passes the parts on; not thread-safe.
     *
     * @param beginsText whether the current piece is the beginning of the whole text
     */
    Split.Sink into(Split.Sink sink, BooleanSupplier beginsText);
  }

  private static final int MAX_PARTS = 30;
  private static final List<String> BYTE_LEVEL = List.of("Split", "Digits", "ByteLevel");
  private static final List<String> SENTENCE_PIECE =
      List.of("Split", "Digits", "WhitespaceSplit", "Metaspace");
  private static final Split DIGITS =
      new Split(Regex.compile("\\p{N}"), Split.Behavior.CONTIGUOUS, false);
  private static final Split EACH_DIGIT =
      new Split(Regex.compile("\\p{N}"), Split.Behavior.ISOLATED, false);

  private static final Split WHITE_SPACE =
      new Split(Regex.compile("\\s"), Split.Behavior.REMOVED, false);

  /** GPT-2's pattern, ByteLevel's default. */
  static final String GPT2_PATTERN =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

  static final Split GPT2 = new Split(Regex.compile(GPT2_PATTERN), Split.Behavior.ISOLATED, false);

  /**
   * @param byteLevel whether the model is byte-level, with ByteLevel as the last stage
   */
  static PreTokenizer of(JsonNode part, boolean byteLevel, Source source) {
    List<JsonNode> parts = new ArrayList<>();
    flatten(part, source, parts);
    List<Stage> stages = new ArrayList<>();
    for (JsonNode each : parts) {
      String type = source.type(each, "pre-tokenizer");
      if (!(byteLevel ? BYTE_LEVEL : SENTENCE_PIECE).contains(type)) {
        throw source.unsupported(
            "pre-tokenizer",
            each.path("type"),
            "one of " + String.join(", ", byteLevel ? BYTE_LEVEL : SENTENCE_PIECE));
      }
      switch (type) {
        case "Split" -> stages.add(Split.of(each, source));
        case "WhitespaceSplit" -> stages.add(WHITE_SPACE);
        case "Metaspace" -> stages.add(metaspace(each, stages, source));
        case "Digits" ->
            stages.add(
                source.flag(each.path("individual_digits"), "individual_digits", false)
                    ? EACH_DIGIT
                    : DIGITS);
        default -> {
          if (each != parts.getLast()) {
            throw source.trouble(
                "has a pre-tokenizer behind ByteLevel, expected ByteLevel to be the last");
          }
          addByteLevel(stages, each, source);
        }
      }
    }
    if (byteLevel
        && (parts.isEmpty() || !parts.getLast().path("type").asString("").equals("ByteLevel"))) {
      throw source.unsupported(
          "pre-tokenizer",
          parts.isEmpty() ? part : parts.getLast().path("type"),
          "ByteLevel, alone or as the last of a Sequence");
    }
    return new PreTokenizer(stages);
  }

  private static void addByteLevel(List<Stage> stages, JsonNode part, Source source) {
    if (source.flag(part.path("add_prefix_space"), "add_prefix_space", true)) {
      stages.add((sink, _) -> prefixingSpace(sink));
    }
    if (source.flag(part.path("use_regex"), "use_regex", true)) {
      stages.add(GPT2);
    }
  }

  private static Metaspace metaspace(JsonNode part, List<Stage> before, Source source) {
    Metaspace metaspace = Metaspace.of(part, source);
    if (metaspace.prefix() == Metaspace.Prefix.FIRST && !before.isEmpty()) {
      throw source.trouble(
          "has a pre-tokenizer before Metaspace with prepend_scheme first, expected it after");
    }
    return metaspace;
  }

  private static void flatten(JsonNode part, Source source, List<JsonNode> parts) {
    if (part.isMissingNode() || part.isNull()) {
      return;
    }
    if (parts.size() == MAX_PARTS) {
      throw source.trouble("has more than " + MAX_PARTS + " pre-tokenizers");
    }
    if (source.type(part, "pre-tokenizer").equals("Sequence")) {
      source
          .list(part.path("pretokenizers"), "pretokenizers", MAX_PARTS)
          .forEach(each -> flatten(each, source, parts));
    } else {
      parts.add(part);
    }
  }

  /** Returns a sink that splits texts and passes the pieces to {@code sink}; not thread-safe. */
  Split.Sink into(Split.Sink sink, BooleanSupplier beginsText) {
    Split.Sink result = sink;
    for (Stage stage : stages.reversed()) {
      result = stage.into(result, beginsText);
    }
    return result;
  }

  /** Puts a space before each piece, unless it begins with one. */
  private static Split.Sink prefixingSpace(Split.Sink behind) {
    return (text, from, to) -> {
      if (text[from] == ' ') {
        behind.piece(text, from, to);
      } else {
        char[] prefixed = new char[to - from + 1];
        prefixed[0] = ' ';
        System.arraycopy(text, from, prefixed, 1, to - from);
        behind.piece(prefixed, 0, prefixed.length);
      }
    };
  }
}

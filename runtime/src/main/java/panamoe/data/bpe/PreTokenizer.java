package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import panamoe.data.regex.Regex;

/**
 * Splits a text into the pieces that are merged separately. The splits are applied one after the
 * other, each to the pieces of the one before.
 *
 * @param prefixesSpace whether a space is put before each piece, unless it begins with one, before
 *     the last split
 * @param last the split after that; null for none
 */
record PreTokenizer(List<Split> splits, boolean prefixesSpace, Split last) {
  private static final int MAX_PARTS = 30;
  private static final Split DIGITS =
      new Split(Regex.compile("\\p{N}"), Split.Behavior.CONTIGUOUS, false);
  private static final Split EACH_DIGIT =
      new Split(Regex.compile("\\p{N}"), Split.Behavior.ISOLATED, false);

  /** GPT-2's pattern, ByteLevel's default. */
  static final Split GPT2 =
      new Split(
          Regex.compile(
              "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
          Split.Behavior.ISOLATED,
          false);

  static PreTokenizer of(JsonNode part, Source source) {
    List<JsonNode> parts = new ArrayList<>();
    flatten(part, source, parts);
    List<Split> splits = new ArrayList<>();
    for (JsonNode each : parts.isEmpty() ? parts : parts.subList(0, parts.size() - 1)) {
      splits.add(
          switch (source.type(each, "pre-tokenizer")) {
            case "Split" -> Split.of(each, source);
            case "Digits" ->
                source.flag(each.path("individual_digits"), "individual_digits", false)
                    ? EACH_DIGIT
                    : DIGITS;
            case "ByteLevel" ->
                throw source.trouble(
                    "has a pre-tokenizer behind ByteLevel, expected ByteLevel to be the last");
            default ->
                throw source.unsupported(
                    "pre-tokenizer", each.path("type"), "Split, Digits or ByteLevel");
          });
    }
    JsonNode byteLevel = parts.isEmpty() ? part : parts.getLast();
    if (!byteLevel.path("type").asText().equals("ByteLevel")) {
      throw source.unsupported(
          "pre-tokenizer",
          parts.isEmpty() ? part : byteLevel.path("type"),
          "ByteLevel, alone or as the last of a Sequence");
    }
    return new PreTokenizer(
        splits,
        source.flag(byteLevel.path("add_prefix_space"), "add_prefix_space", true),
        source.flag(byteLevel.path("use_regex"), "use_regex", true) ? GPT2 : null);
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
  Split.Sink into(Split.Sink sink) {
    Split.Sink result = last == null ? sink : last.into(sink);
    if (prefixesSpace) {
      Split.Sink behind = result;
      result =
          (text, from, to) -> {
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
    for (Split split : splits.reversed()) {
      result = split.into(result);
    }
    return result;
  }
}

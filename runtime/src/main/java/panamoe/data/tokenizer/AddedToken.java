package panamoe.data.tokenizer;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * A token that is matched in the text before the model encodes it.
 *
 * @param special whether it is a control token without text, such as end-of-text
 * @param normalized whether it is matched in the normalised text
 * @param borders conditions on the characters around it
 */
record AddedToken(int id, String content, boolean special, boolean normalized, Borders borders) {
  /**
   * A key that Hugging Face's library does not know: a token of SentencePiece is found in the
   * normalised text by its name as it stands.
   */
  static final String VERBATIM = "verbatim";

  /** The time to match is proportional to the longest content. */
  private static final int MAX_LENGTH = 200;

  /**
   * @param singleWord whether it must not be next to a letter, digit or underscore
   * @param takesLeft whether the match includes white space before it
   * @param takesRight whether the match includes white space after it
   * @param verbatim whether the content is sought as it stands, not normalised
   */
  record Borders(boolean singleWord, boolean takesLeft, boolean takesRight, boolean verbatim) {}

  /**
   * Whether it marks a part of a prompt: a special token or a bracketed name. Some vocabularies
   * have markers such as {@code <｜User｜>} and {@code <tool_call>} that are not special.
   */
  boolean marker() {
    return special
        || content.length() > 2
            && (content.startsWith("<") && content.endsWith(">")
                || content.startsWith("[") && content.endsWith("]"));
  }

  static List<AddedToken> list(TokenizerJson json) {
    Source source = json.source;
    List<AddedToken> tokens = new ArrayList<>();
    Set<String> contents = new HashSet<>();
    if (json.part("added_tokens").isMissingNode() || json.part("added_tokens").isNull()) {
      return tokens;
    }
    for (JsonNode token :
        source.list(json.part("added_tokens"), "added_tokens", TokenizerJson.MAX_TOKENS)) {
      AddedToken added = of(token, source);
      if (!contents.add(added.content)) {
        throw source.trouble("has the added token " + Source.shown(added.content) + " twice");
      }
      Integer known = json.vocabulary.get(added.content);
      if (known != null && known != added.id) {
        throw source.trouble(
            "gives the added token %s the number %s, and in its vocabulary %s",
            Source.shown(added.content), added.id, known);
      }
      tokens.add(added);
    }
    return tokens;
  }

  private static AddedToken of(JsonNode token, Source source) {
    String content = token.path("content").asString("");
    if (!token.path("content").isString() || content.isEmpty()) {
      throw source.trouble("has an added token without content");
    }
    if (content.length() > MAX_LENGTH) {
      throw source.trouble(
          "has the added token %s of %s characters, expected at most %s",
          Source.shown(content), content.length(), MAX_LENGTH);
    }
    if (content.codePoints().anyMatch(point -> Character.getType(point) == Character.SURROGATE)) {
      throw source.trouble(
          "has the added token " + Source.shown(content) + ", which holds half a character");
    }
    JsonNode id = token.path("id");
    if (!id.isInt() || id.intValue() < 0 || id.intValue() >= TokenizerJson.MAX_TOKENS) {
      throw source.trouble(
          "gives the added token %s the number %s, expected 0 to %s",
          Source.shown(content), Source.shown(id), TokenizerJson.MAX_TOKENS - 1);
    }
    boolean special = source.flag(token.path("special"), "special", false);
    Borders borders =
        new Borders(
            source.flag(token.path("single_word"), "single_word", false),
            source.flag(token.path("lstrip"), "lstrip", false),
            source.flag(token.path("rstrip"), "rstrip", false),
            source.flag(token.path(VERBATIM), VERBATIM, false));
    return new AddedToken(
        id.intValue(),
        content,
        special,
        source.flag(token.path("normalized"), "normalized", !special),
        borders);
  }
}

package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A token that is found in a text before the model sees it.
 *
 * @param special whether it stands for no text, such as the end of one
 * @param normalized whether it is looked for in the normalised text
 * @param borders what else belongs to it, or must not stand beside it
 */
record AddedToken(int id, String content, boolean special, boolean normalized, Borders borders) {
  /** Looking for them takes time in proportion to the longest one. */
  private static final int MAX_LENGTH = 200;

  /**
   * @param singleWord whether it must not touch a letter, digit or underscore
   * @param takesLeft whether it takes the white space before it
   * @param takesRight whether it takes the white space after it
   */
  record Borders(boolean singleWord, boolean takesLeft, boolean takesRight) {}

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
            "gives the added token "
                + Source.shown(added.content)
                + " the number "
                + added.id
                + ", and in its vocabulary "
                + known);
      }
      tokens.add(added);
    }
    return tokens;
  }

  private static AddedToken of(JsonNode token, Source source) {
    String content = token.path("content").asText();
    if (!token.path("content").isTextual() || content.isEmpty()) {
      throw source.trouble("has an added token without content");
    }
    if (content.length() > MAX_LENGTH) {
      throw source.trouble(
          "has the added token "
              + Source.shown(content)
              + " of "
              + content.length()
              + " characters, expected at most "
              + MAX_LENGTH);
    }
    if (content.codePoints().anyMatch(point -> Character.getType(point) == Character.SURROGATE)) {
      throw source.trouble(
          "has the added token " + Source.shown(content) + ", which holds half a character");
    }
    JsonNode id = token.path("id");
    if (!id.isInt() || id.intValue() < 0 || id.intValue() >= TokenizerJson.MAX_TOKENS) {
      throw source.trouble(
          "gives the added token "
              + Source.shown(content)
              + " the number "
              + Source.shown(id)
              + ", expected 0 to "
              + (TokenizerJson.MAX_TOKENS - 1));
    }
    boolean special = source.flag(token.path("special"), "special", false);
    Borders borders =
        new Borders(
            source.flag(token.path("single_word"), "single_word", false),
            source.flag(token.path("lstrip"), "lstrip", false),
            source.flag(token.path("rstrip"), "rstrip", false));
    return new AddedToken(
        id.intValue(),
        content,
        special,
        source.flag(token.path("normalized"), "normalized", !special),
        borders);
  }
}

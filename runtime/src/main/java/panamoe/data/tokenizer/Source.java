package panamoe.data.tokenizer;

import panamoe.data.DataException;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/** The file of a tokenizer: messages that name it, and typed access to its JSON. */
record Source(String file) {
  private static final int SHOWN = 60;

  /**
   * @param pattern of the sentence that follows the file's name, by {@link Words#of}
   */
  DataException trouble(String pattern, Object... values) {
    return new DataException("%s %s", file, Words.of(pattern, values));
  }

  DataException unsupported(String what, JsonNode given, String expected) {
    return trouble("has the unsupported " + what + " " + shown(given) + ", expected " + expected);
  }

  /** The {@code type} of a part of the tokenizer. */
  String type(JsonNode part, String what) {
    if (!part.path("type").isString()) {
      throw trouble("has a " + what + " without a type: " + shown(part));
    }
    return part.path("type").stringValue();
  }

  /**
   * @param fallback if the value is absent or null
   */
  boolean flag(JsonNode value, String name, boolean fallback) {
    if (value.isMissingNode() || value.isNull()) {
      return fallback;
    }
    if (!value.isBoolean()) {
      throw trouble("has " + shown(value) + " for " + name + ", expected true or false");
    }
    return value.booleanValue();
  }

  /** The elements of a list, refused if there are more than {@code max}. */
  Iterable<JsonNode> list(JsonNode list, String name, int max) {
    if (!list.isArray() || list.size() > max) {
      throw trouble("has " + shown(list) + " for " + name + ", expected a list of at most " + max);
    }
    return list;
  }

  static String shown(JsonNode value) {
    return value.isMissingNode() ? "(none)" : shortened(value.toString());
  }

  static String shown(String text) {
    return shortened(StringNode.valueOf(text).toString());
  }

  private static String shortened(String json) {
    String line =
        json.codePoints()
            .map(
                point ->
                    Character.isISOControl(point) || Character.getType(point) == Character.SURROGATE
                        ? '?'
                        : point)
            .limit(SHOWN + 1)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
    return line.codePointCount(0, line.length()) <= SHOWN
        ? line
        : line.substring(0, line.offsetByCodePoints(0, SHOWN)) + "...";
  }
}

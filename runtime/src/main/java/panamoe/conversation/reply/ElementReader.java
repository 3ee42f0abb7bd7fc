package panamoe.conversation.reply;

import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.data.Markers;
import panamoe.grammar.Elements;
import panamoe.grammar.JsonType;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.StringNode;

/**
 * Reads the elements of a call as the text of a JSON object, after its opening brace. A value of
 * which the schema says that it is a string is passed on as it comes, others when they are whole.
 */
final class ElementReader {
  private static final Set<String> STRING = Set.of("string");

  private final Elements written;
  private final Pattern begin;
  private final JsonNode schema;
  private final Set<String> names = new HashSet<>();
  private Set<String> types; // of the value that is read; null between elements

  /**
   * @param schema of the arguments; null for none
   */
  ElementReader(Elements written, JsonNode schema) {
    this.written = written;
    this.schema = schema == null ? MissingNode.getInstance() : schema;
    begin =
        Pattern.compile(
            written.before().pattern()
                + "(.+?)"
                + written.named().pattern()
                + "(?:"
                + Pattern.quote(written.padding())
                + ")?");
  }

  /** Moves what is certain out of the unread text. */
  String next(StringBuilder unread) {
    StringBuilder json = new StringBuilder();
    boolean goesOn = true;
    while (goesOn) {
      goesOn = types == null ? name(unread, json) : value(unread, json);
    }
    return json.toString();
  }

  private boolean name(StringBuilder unread, StringBuilder json) {
    Matcher found = begin.matcher(unread);
    boolean another = found.lookingAt();
    if (found.hitEnd()) {
      return false;
    }
    another = another && names.add(found.group(1)); // JSON has a key once
    if (another) {
      String name = found.group(1);
      types = JsonType.allowed(schema, schema.path("properties").path(name));
      json.append(names.size() > 1 ? ", " : "").append(StringNode.valueOf(name)).append(": ");
      json.append(types.equals(STRING) ? "\"" : "");
      unread.delete(0, found.end());
    } else {
      json.append('}');
    }
    return another;
  }

  private boolean value(StringBuilder unread, StringBuilder json) {
    int end = unread.indexOf(written.end());
    boolean whole = end >= 0;
    String text = unread.substring(0, whole ? end : certain(unread));
    if (whole && text.endsWith(written.padding())) {
      text = text.substring(0, text.length() - written.padding().length());
    }
    if (types.equals(STRING)) {
      String quoted = quoted(text);
      json.append(quoted, 1, quoted.length() - (whole ? 0 : 1));
      unread.delete(0, text.length());
    } else if (whole) {
      json.append(json(text));
    }
    if (whole) {
      unread.delete(0, unread.indexOf(written.end()) + written.end().length());
      types = null;
    }
    return whole;
  }

  /** The length of what certainly belongs to a value: the rest may begin its end. */
  private int certain(StringBuilder unread) {
    int begun = ReplyReader.begun(written.end(), unread);
    return unread.length()
        - Math.max(begun, ReplyReader.begun(written.padding() + written.end(), unread));
  }

  /** A whole value: JSON of a type that is allowed beside strings, else a string. */
  private String json(String text) {
    try {
      JsonNode value = JsonMapper.shared().readTree(text);
      boolean other = !value.isMissingNode() && !value.isString() && JsonType.isOne(value, types);
      if (other || !value.isMissingNode() && !types.contains("string")) {
        return text.strip();
      }
    } catch (JacksonException _) {
      // a string
    }
    return quoted(text);
  }

  private static String quoted(String text) {
    return StringNode.valueOf(Markers.without(text)).toString();
  }
}

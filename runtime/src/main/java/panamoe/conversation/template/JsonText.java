package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** Serializes values as Python's {@code json.dumps} does. */
record JsonText(
    Text.Builder into,
    boolean ascii,
    String indent,
    Text comma,
    Text colon,
    boolean sorted,
    RenderLimits budget) {
  /** The filter {@code tojson} with the arguments of {@code json.dumps}. */
  static Text of(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("ensure_ascii", "indent", "separators", "sort_keys");
    String indent =
        switch (bound[1]) {
          case null -> null;
          case None _ -> null;
          case Text text -> text.chars();
          default -> " ".repeat(Math.clamp(JinjaValues.whole(bound[1]), 0, 100));
        };
    Text comma = Text.of(indent == null ? ", " : ",");
    Text colon = Text.of(": ");
    if (bound[2] instanceof List<?> separators && separators.size() == 2) {
      comma = JinjaValues.text(separators.get(0));
      colon = JinjaValues.text(separators.get(1));
    } else if (bound[2] != null && bound[2] != None.NONE) {
      throw new TemplateException("separators are not two strings");
    }
    boolean ascii = JinjaValues.truth(bound[0]);
    boolean sorted = JinjaValues.truth(bound[3]);
    Text.Builder into = new Text.Builder();
    new JsonText(into, ascii, indent, comma, colon, sorted, budget).write(value, 0);
    return into.text();
  }

  private void write(Object value, int depth) {
    if (depth > RenderLimits.MOST_NESTED) {
      throw new TemplateException("the value is nested too deep for JSON");
    }
    switch (value) {
      case Text text -> string(text);
      case List<?> list -> {
        into.append("[");
        for (int i = 0; i < list.size(); i++) {
          separate(i == 0, depth);
          write(list.get(i), depth + 1);
        }
        end(list.isEmpty(), depth);
        into.append("]");
      }
      case Map<?, ?> map -> {
        into.append("{");
        boolean first = true;
        for (Object key : keys(map)) {
          separate(first, depth);
          string(key instanceof Text text ? text : Text.of(scalar(key)));
          into.append(colon);
          write(map.get(key), depth + 1);
          first = false;
        }
        end(map.isEmpty(), depth);
        into.append("}");
      }
      default -> into.append(scalar(value));
    }
  }

  private List<?> keys(Map<?, ?> map) {
    List<Object> keys = new ArrayList<>(map.keySet());
    if (sorted) {
      keys.sort((a, b) -> JinjaValues.compare(a, b, budget));
    }
    return keys;
  }

  private void separate(boolean first, int depth) {
    if (!first) {
      into.append(comma);
    }
    line(depth + 1);
  }

  private void end(boolean empty, int depth) {
    if (!empty) {
      line(depth);
    }
  }

  private void line(int depth) {
    if (indent != null) {
      into.append("\n");
      for (int i = 0; i < depth; i++) {
        into.append(indent);
      }
    }
  }

  private static String scalar(Object value) {
    return switch (value) {
      case None _ -> "null";
      case Boolean bool -> bool.toString();
      case Double number when number.isNaN() -> "NaN";
      case Double number when number.isInfinite() -> number > 0 ? "Infinity" : "-Infinity";
      case Double number -> PythonText.number(number);
      case Number number -> number.toString();
      case Undefined undefined -> throw undefined.error();
      default -> throw new TemplateException(JinjaValues.type(value) + " is no JSON");
    };
  }

  private void string(Text text) {
    into.append("\"").append(text.map(this::escaped)).append("\"");
  }

  private String escaped(String text) {
    StringBuilder escaped = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char next = text.charAt(i);
      switch (next) {
        case '"' -> escaped.append("\\\"");
        case '\\' -> escaped.append("\\\\");
        case '\n' -> escaped.append("\\n");
        case '\r' -> escaped.append("\\r");
        case '\t' -> escaped.append("\\t");
        case '\b' -> escaped.append("\\b");
        case '\f' -> escaped.append("\\f");
        default -> {
          if (next < ' ' || ascii && next > '~') {
            escaped.append("\\u").append(HexFormat.of().toHexDigits(next));
          } else {
            escaped.append(next);
          }
        }
      }
    }
    return escaped.toString();
  }
}

package panamoe.conversation.template;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

final class TextFilters {
  private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);

  static final Map<String, Filters.Filter> BY_NAME =
      Map.ofEntries(
          Map.entry("string", (value, _, _) -> PythonText.str(value)),
          Map.entry("safe", (value, _, _) -> PythonText.str(value).safe()),
          Map.entry("pprint", (value, _, _) -> printed(value)),
          Map.entry("escape", (value, _, _) -> PythonText.str(value).escaped()),
          Map.entry("e", (value, _, _) -> PythonText.str(value).escaped()),
          Map.entry("upper", method("upper")),
          Map.entry("lower", method("lower")),
          Map.entry("title", (value, _, budget) -> title(PythonText.str(value), budget)),
          Map.entry("capitalize", method("capitalize")),
          Map.entry("trim", method("strip")),
          Map.entry("replace", method("replace")),
          Map.entry("format", TextFilters::format),
          Map.entry("indent", TextFilters::indent),
          Map.entry("center", TextFilters::center),
          Map.entry("truncate", TextFilters::truncate),
          Map.entry("urlencode", (value, _, _) -> encoded(value)),
          Map.entry(
              "wordcount",
              (value, _, budget) -> WORD.matcher(str(value, budget).chars()).results().count()));

  private TextFilters() {}

  private static Filters.Filter method(String name) {
    return (value, arguments, budget) ->
        TextMethods.method(PythonText.str(value), name, budget).call(arguments);
  }

  /** A value as a string, charged by its length even if the filter's result is short. */
  private static Text str(Object value, RenderLimits budget) {
    Text text = PythonText.str(value);
    if (text != value) {
      budget.spend(text.length() / 4); // it was printed character by character
    }
    return text;
  }

  /** Words begin after blanks, hyphens and opening brackets. */
  private static Text title(Text text, RenderLimits budget) {
    budget.spendOn(text);
    Text.Builder title = new Text.Builder();
    int begin = 0;
    for (int at = 0; at < text.length(); at++) {
      char next = text.chars().charAt(at);
      if (Chars.isSpace(next) || "-({[<".indexOf(next) >= 0) {
        title.append(TextMethods.capitalize(text.slice(begin, at))).append(text, at, at + 1);
        begin = at + 1;
      }
    }
    return title.append(TextMethods.capitalize(text.slice(begin, text.length()))).text();
  }

  private static Text printed(Object value) {
    return value instanceof Text text ? Text.of(PythonText.repr(text)) : PythonText.str(value);
  }

  private static Text encoded(Object value) {
    return PythonText.str(value)
        .map(
            part ->
                URLEncoder.encode(part, StandardCharsets.UTF_8)
                    .replace("+", "%20")
                    .replace("*", "%2A")
                    .replace("%2F", "/")
                    .replace("%7E", "~"));
  }

  private static Object format(Object value, Arguments arguments, RenderLimits budget) {
    Text pattern = PythonText.str(value);
    if (!arguments.named().isEmpty()) {
      Map<Object, Object> named = new HashMap<>();
      arguments.named().forEach((name, each) -> named.put(Text.of(name), each));
      return Formatting.percent(pattern, named);
    }
    return Formatting.percent(pattern, new Tuple(arguments.positional()));
  }

  private static Object indent(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("width", "first", "blank");
    Text indent =
        bound[0] instanceof Text text
            ? text
            : TextMethods.repeat(Text.of(" "), bound[0] == null ? 4 : JinjaValues.whole(bound[0]));
    boolean first = JinjaValues.truth(bound[1]);
    boolean blank = JinjaValues.truth(bound[2]);
    List<Object> lines = Splitting.lines(PythonText.str(value).plus(Text.of("\n")), budget);
    Text.Builder indented = new Text.Builder();
    for (int i = 0; i < lines.size(); i++) {
      Text line = (Text) lines.get(i);
      indented.append(i == 0 ? "" : "\n");
      if (i == 0 ? first : blank || !line.isEmpty()) {
        indented.append(indent);
      }
      indented.append(line);
    }
    return indented.text();
  }

  private static Object center(Object value, Arguments arguments, RenderLimits budget) {
    Object width = arguments.bind("width")[0];
    Text text = str(value, budget);
    long missing = (width == null ? 80 : JinjaValues.whole(width)) - Chars.count(text);
    if (missing <= 0) {
      return text;
    }
    long left = missing / 2 + (missing & Chars.count(text) + missing & 1);
    return TextMethods.repeat(Text.of(" "), left)
        .plus(text)
        .plus(TextMethods.repeat(Text.of(" "), missing - left));
  }

  private static Object truncate(Object value, Arguments arguments, RenderLimits budget) {
    Object[] bound = arguments.bind("length", "killwords", "end", "leeway");
    Text text = str(value, budget);
    Text end = bound[2] == null ? Text.of("...") : JinjaValues.text(bound[2]);
    int most = bound[0] == null ? 255 : JinjaValues.count(bound[0]);
    int leeway = bound[3] == null ? 5 : JinjaValues.count(bound[3]);
    int kept = most - Chars.count(end);
    if (kept < 0) {
      throw new TemplateException("truncate's length is less than its end");
    }
    if (Chars.count(text) <= (long) most + leeway) {
      return text;
    }
    Text begin = text.slice(0, Chars.offset(text, kept));
    int space = begin.chars().lastIndexOf(' ');
    boolean words = !JinjaValues.truth(bound[1]);
    return (words && space >= 0 ? begin.slice(0, space) : begin).plus(end);
  }
}

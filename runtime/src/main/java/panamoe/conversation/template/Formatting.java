package panamoe.conversation.template;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** String formatting: Python's {@code %} and {@code str.format} in their simple forms. */
final class Formatting {
  private static final Pattern PERCENT =
      Pattern.compile("%(?:\\((\\w+)\\))?(0?)(\\d{0,3})(?:\\.(\\d{1,2}))?(.?)", Pattern.DOTALL);
  private static final Pattern BRACES = Pattern.compile("\\{\\{|\\}\\}|\\{(\\w*)\\}|[{}]");

  private Formatting() {}

  /** {@code pattern % values} with s, r, d, i, f, x and %%, width and precision. */
  static Text percent(Text pattern, Object values) {
    List<?> list = values instanceof Tuple tuple ? tuple : List.of(values);
    Text.Builder text = new Text.Builder();
    Matcher field = PERCENT.matcher(pattern.chars());
    int done = 0;
    int used = 0;
    while (field.find(done)) {
      text.append(pattern, done, field.start());
      done = field.end();
      if (field.group(5).equals("%")) {
        text.append("%");
        continue;
      }
      Object value;
      if (field.group(1) != null) {
        value = values instanceof Map<?, ?> map ? map.get(Text.of(field.group(1))) : null;
      } else {
        value = used < list.size() ? list.get(used++) : null;
      }
      if (value == null) {
        throw new TemplateException("the format has more fields than values");
      }
      text.append(padded(field, converted(field, value)));
    }
    if (used < list.size() && !(values instanceof Map<?, ?>)) {
      throw new TemplateException("not all values were used by the format");
    }
    return text.append(pattern, done, pattern.length()).text();
  }

  private static Text converted(Matcher field, Object value) {
    int decimals = field.group(4) == null ? 6 : Integer.parseInt(field.group(4));
    return switch (field.group(5)) {
      case "s" -> PythonText.str(value);
      case "r" ->
          value instanceof Text text ? Text.of(PythonText.repr(text)) : PythonText.str(value);
      case "d", "i" -> Text.of(Long.toString((long) JinjaValues.real(value)));
      case "x" -> Text.of(Long.toHexString(JinjaValues.whole(value)));
      case "f" ->
          Text.of(String.format(Locale.ROOT, "%." + decimals + "f", JinjaValues.real(value)));
      default ->
          throw new TemplateException("the format has an unsupported field " + field.group());
    };
  }

  private static Text padded(Matcher field, Text text) {
    int width = field.group(3).isEmpty() ? 0 : Integer.parseInt(field.group(3));
    int missing = width - Chars.count(text);
    return missing <= 0
        ? text
        : TextMethods.repeat(Text.of(field.group(2).isEmpty() ? " " : "0"), missing).plus(text);
  }

  /** {@code pattern.format(...)} with fields {@code {}}, {@code {0}} and {@code {name}}. */
  static Text braces(Text pattern, Arguments arguments) {
    Text.Builder text = new Text.Builder();
    Matcher field = BRACES.matcher(pattern.chars());
    int done = 0;
    int used = 0;
    while (field.find()) {
      text.append(pattern, done, field.start());
      done = field.end();
      String name = field.group(1);
      if (name == null) {
        if (field.group().length() == 1) {
          throw new TemplateException("the format has an unsupported field");
        }
        text.append(field.group().substring(1));
        continue;
      }
      boolean numbered = name.matches("\\d{0,4}");
      int at = !numbered ? -1 : name.isEmpty() ? used++ : Integer.parseInt(name);
      Object value =
          !numbered
              ? arguments.named().get(name)
              : at < arguments.positional().size() ? arguments.positional().get(at) : null;
      if (value == null) {
        throw new TemplateException("the format has no value for {" + name + "}");
      }
      text.append(PythonText.str(value));
    }
    return text.append(pattern, done, pattern.length()).text();
  }
}

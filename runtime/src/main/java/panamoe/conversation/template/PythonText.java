package panamoe.conversation.template;

import java.math.BigDecimal;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import panamoe.data.regex.CodeSet;
import panamoe.data.regex.CodeSets;

/** Values as strings, like Python's {@code str} and {@code repr}. */
final class PythonText {
  /** Unicode categories other and separator. */
  private static final CodeSet HIDDEN = CodeSets.property("C").union(CodeSets.property("Z"));

  private static final HexFormat HEX = HexFormat.of();

  private PythonText() {}

  /** {@code str(value)}; a string stays as it is. */
  static Text str(Object value) {
    return switch (value) {
      case Text text -> text;
      case Undefined _ -> Text.EMPTY;
      default -> {
        Text.Builder text = new Text.Builder();
        repr(value, text, 0);
        yield text.text();
      }
    };
  }

  /** {@code repr} of a string. */
  static String repr(Text text) {
    Text.Builder quoted = new Text.Builder();
    repr(text, quoted, 0);
    return quoted.text().chars();
  }

  private static void repr(Object value, Text.Builder into, int depth) {
    if (depth > RenderLimits.MOST_NESTED) {
      throw new TemplateException("the value is nested too deep to print it");
    }
    switch (value) {
      case None _ -> into.append("None");
      case Boolean bool -> into.append(bool ? "True" : "False");
      case Double number -> into.append(number(number));
      case Number number -> into.append(number.toString());
      case Text text -> {
        boolean twice = text.chars().indexOf('\'') >= 0 && text.chars().indexOf('"') < 0;
        String quote = twice ? "\"" : "'";
        into.append(quote).append(text.map(part -> escaped(part, quote.charAt(0)))).append(quote);
      }
      case Undefined _ -> into.append("Undefined");
      case List<?> list -> {
        into.append(list instanceof Tuple ? "(" : "[");
        for (int i = 0; i < list.size(); i++) {
          into.append(i == 0 ? "" : ", ");
          repr(list.get(i), into, depth + 1);
        }
        into.append(list instanceof Tuple ? list.size() == 1 ? ",)" : ")" : "]");
      }
      case Map<?, ?> map -> {
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          into.append(separator);
          repr(entry.getKey(), into, depth + 1);
          into.append(": ");
          repr(entry.getValue(), into, depth + 1);
          separator = ", ";
        }
        into.append(map.isEmpty() ? "{}" : "}");
      }
      default -> into.append("<" + JinjaValues.type(value) + ">");
    }
  }

  private static String escaped(String text, char quote) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints()
        .forEach(
            point -> {
              switch (point) {
                case '\n' -> escaped.append("\\n");
                case '\r' -> escaped.append("\\r");
                case '\t' -> escaped.append("\\t");
                case '\\' -> escaped.append("\\\\");
                default -> {
                  if (point == quote) {
                    escaped.append('\\').append(quote);
                  } else if (isPrintable(point)) {
                    escaped.appendCodePoint(point);
                  } else if (point < 0x100) {
                    escaped.append("\\x").append(HEX.toHexDigits((byte) point));
                  } else if (point < 0x10000) {
                    escaped.append("\\u").append(HEX.toHexDigits((char) point));
                  } else {
                    escaped.append("\\U").append(HEX.toHexDigits(point));
                  }
                }
              }
            });
    return escaped.toString();
  }

  private static boolean isPrintable(int point) {
    return point == ' ' || !HIDDEN.contains(point);
  }

  /** The shortest digits that round-trip, with Python's exponent. */
  static String number(double number) {
    if (Double.isNaN(number)) {
      return "nan";
    }
    if (Double.isInfinite(number)) {
      return number > 0 ? "inf" : "-inf";
    }
    if (number == 0) {
      return 1 / number < 0 ? "-0.0" : "0.0";
    }
    BigDecimal digits = new BigDecimal(Double.toString(number)).stripTrailingZeros();
    int exponent = digits.precision() - digits.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = digits.toPlainString();
      return plain.contains(".") ? plain : plain + ".0";
    }
    String unscaled = digits.unscaledValue().abs().toString();
    return (number < 0 ? "-" : "")
        + unscaled.charAt(0)
        + (unscaled.length() > 1 ? "." + unscaled.substring(1) : "")
        + (exponent < 0 ? "e-" : "e+")
        + (Math.abs(exponent) < 10 ? "0" : "")
        + Math.abs(exponent);
  }
}

package panamoe.conversation.template;

import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Characters as Python's strings count and escape them. */
final class Chars {
  private static final Pattern ESCAPE =
      Pattern.compile(
          "\\\\(?:([0-7]{1,3})|(x\\p{XDigit}{2}|u\\p{XDigit}{4}|U\\p{XDigit}{8})|(.))",
          Pattern.DOTALL);

  private Chars() {}

  /** Whether Python's {@code str.strip} removes it. */
  static boolean isSpace(int point) {
    return point >= 9 && point <= 13
        || point >= 28 && point <= 32
        || point == 0x85
        || point > 0x7f && Character.isSpaceChar(point);
  }

  /** The content of a string literal. An unknown escape stands for itself. */
  static String unescaped(String literal) {
    return ESCAPE.matcher(literal).replaceAll(found -> Matcher.quoteReplacement(character(found)));
  }

  private static String character(MatchResult escape) {
    if (escape.group(1) != null) {
      return Character.toString(Integer.parseInt(escape.group(1), 8));
    }
    String hexadecimal = escape.group(2);
    if (hexadecimal != null) {
      long point = Long.parseLong(hexadecimal.substring(1), 16);
      if (point > Character.MAX_CODE_POINT) {
        throw new TemplateException("the escape \\U is beyond all characters");
      }
      return Character.toString((int) point);
    }
    String kind = escape.group(3);
    return switch (kind) {
      case "n" -> "\n";
      case "t" -> "\t";
      case "r" -> "\r";
      case "b" -> "\b";
      case "f" -> "\f";
      case "a" -> "\u0007";
      case "v" -> "\u000b";
      case "\\", "'", "\"" -> kind;
      case "\n" -> ""; // a line continuation
      case "x", "u", "U" -> {
        int digits = kind.equals("x") ? 2 : kind.equals("u") ? 4 : 8;
        throw new TemplateException(
            "the escape \\" + kind + " has not " + digits + " digits of a character");
      }
      default -> escape.group();
    };
  }

  /** The number of code points. */
  static int count(Text text) {
    return text.chars().codePointCount(0, text.length());
  }

  /** The offset of a code point in UTF-16. */
  static int offset(Text text, int point) {
    return text.chars().offsetByCodePoints(0, point);
  }
}

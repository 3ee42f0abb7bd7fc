package panamoe.conversation.template;

/** Characters as Python's strings count and escape them. */
final class Chars {
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
    if (literal.indexOf('\\') < 0) {
      return literal;
    }
    StringBuilder text = new StringBuilder();
    int at = 0;
    while (at < literal.length()) {
      char next = literal.charAt(at++);
      if (next != '\\' || at == literal.length()) {
        text.append(next);
        continue;
      }
      char escape = literal.charAt(at++);
      switch (escape) {
        case 'n' -> text.append('\n');
        case 't' -> text.append('\t');
        case 'r' -> text.append('\r');
        case 'b' -> text.append('\b');
        case 'f' -> text.append('\f');
        case 'a' -> text.append('\u0007');
        case 'v' -> text.append('\u000b');
        case '\\', '\'', '"' -> text.append(escape);
        case '\n' -> {} // a line that goes on
        case 'x', 'u', 'U' -> at += hexadecimal(literal, at, escape, text);
        default -> {
          if (escape >= '0' && escape <= '7') {
            at += octal(literal, at - 1, text) - 1;
          } else {
            text.append('\\').append(escape);
          }
        }
      }
    }
    return text.toString();
  }

  /** Appends the character of the digits at {@code at}; returns how many these are. */
  private static int hexadecimal(String literal, int at, char escape, StringBuilder text) {
    int digits = escape == 'x' ? 2 : escape == 'u' ? 4 : 8;
    int point = 0;
    for (int i = 0; i < digits; i++) {
      int digit = at + i < literal.length() ? Character.digit(literal.charAt(at + i), 16) : -1;
      if (digit < 0 || point > Character.MAX_CODE_POINT >> 4) {
        throw new TemplateException(
            "the escape \\" + escape + " has not " + digits + " digits of a character");
      }
      point = point << 4 | digit;
    }
    if (point > Character.MAX_CODE_POINT) {
      throw new TemplateException("the escape \\" + escape + " is beyond all characters");
    }
    text.appendCodePoint(point);
    return digits;
  }

  private static int octal(String literal, int at, StringBuilder text) {
    int point = 0;
    int digits = 0;
    while (digits < 3 && at + digits < literal.length()) {
      int digit = Character.digit(literal.charAt(at + digits), 8);
      if (digit < 0) {
        break;
      }
      point = point << 3 | digit;
      digits++;
    }
    text.appendCodePoint(point);
    return digits;
  }

  /** The number of code points. */
  static int count(Text text) {
    return text.chars().codePointCount(0, text.length());
  }

  /** Where a code point begins in UTF-16. */
  static int offset(Text text, int point) {
    return text.chars().offsetByCodePoints(0, point);
  }
}

package panamoe.conversation.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.conversation.template.Token.Kind;

/**
 * Splits a template into tokens. White space around tags follows Jinja's trim_blocks (drops the new
 * line after a tag) and lstrip_blocks (drops blanks before a tag at the beginning of a line), and
 * the signs - and + of tags. One new line at the end of the template is dropped.
 */
final class Lexer {
  private static final String[] OPERATORS = {
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ","
  };

  // Repeating a group for each digit would recurse once for each.
  private static final String DIGITS = "\\d(?:[\\d_]*\\d)?";
  private static final Pattern NUMBER =
      Pattern.compile(DIGITS + "((?:\\." + DIGITS + ")?[eE][+-]?\\d+|\\." + DIGITS + ")?");
  private static final Pattern RAW = Pattern.compile("\\s*raw\\s*(-?)%\\}");
  private static final Pattern END_RAW = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}");

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int at;

  /** The line at offset {@code counted}, which lags behind {@code at}. */
  private int line = 1;

  private int counted;

  private Lexer(String source) {
    this.source = source;
  }

  static List<Token> tokens(String template) {
    String source = template.replace("\r\n", "\n").replace('\r', '\n');
    Lexer lexer =
        new Lexer(source.endsWith("\n") ? source.substring(0, source.length() - 1) : source);
    try {
      while (lexer.at < lexer.source.length()) {
        lexer.data();
      }
    } catch (TemplateException e) {
      throw e.at(lexer.line());
    }
    lexer.add(Kind.END, "");
    return lexer.tokens;
  }

  /** Reads the text up to the next tag, and the tag. */
  private void data() {
    int open = source.indexOf('{', at);
    while (open >= 0 && "{%#".indexOf(charAt(open + 1)) < 0) {
      open = source.indexOf('{', open + 1);
    }
    if (open < 0) {
      add(Kind.DATA, source.substring(at));
      at = source.length();
      return;
    }
    char sign = charAt(open + 2);
    char kind = source.charAt(open + 1);
    text(open, sign, kind != '{');
    at = open;
    int begin = line();
    at += sign == '-' || sign == '+' ? 3 : 2;
    switch (kind) {
      case '#' -> comment(begin);
      case '%' -> {
        Matcher raw = RAW.matcher(source).region(at, source.length());
        if (raw.lookingAt()) {
          raw(raw, begin);
        } else {
          tag(Kind.OPEN_TAG, Kind.CLOSE_TAG, "%}", begin);
        }
      }
      default -> tag(Kind.OPEN_PRINT, Kind.CLOSE_PRINT, "}}", begin);
    }
  }

  /** Adds the text from {@code at} to {@code end}, where a tag with {@code sign} begins. */
  private void text(int end, char sign, boolean block) {
    int last = end;
    if (sign == '-') {
      last = blankFrom(at, end);
    } else if (sign != '+' && block) {
      int from = end; // back to the beginning of the line, but not past the last tag
      while (from > at && source.charAt(from - 1) != '\n') {
        from--;
      }
      boolean startsLine = from == 0 || source.charAt(from - 1) == '\n';
      last = startsLine && blankFrom(from, end) == from ? from : end;
    }
    if (last > at) {
      add(Kind.DATA, source.substring(at, last));
    }
  }

  /** The start of the white space before {@code to}. */
  private int blankFrom(int from, int to) {
    int begin = to;
    while (begin > from && Chars.isSpace(source.charAt(begin - 1))) {
      begin--;
    }
    return begin;
  }

  /** Continues after a tag's end, and drops white space as its sign says. */
  private void after(int end, char sign, boolean block) {
    at = end;
    if (sign == '-') {
      while (at < source.length() && Chars.isSpace(source.charAt(at))) {
        at++;
      }
    } else if (sign != '+' && block && charAt(at) == '\n') {
      at++;
    }
  }

  private void comment(int begin) {
    int end = source.indexOf("#}", at);
    if (end < 0) {
      throw new TemplateException("the comment has no end #}").at(begin);
    }
    after(end + 2, end > at ? source.charAt(end - 1) : ' ', true);
  }

  private void raw(Matcher raw, int begin) {
    after(raw.end(), raw.group(1).isEmpty() ? '+' : '-', true);
    Matcher end = END_RAW.matcher(source);
    if (!end.find(at)) {
      throw new TemplateException("raw has no endraw").at(begin);
    }
    text(end.start(), sign(end.group(1)), true);
    after(end.end(), sign(end.group(2)), true);
  }

  private static char sign(String group) {
    return group.isEmpty() ? ' ' : group.charAt(0);
  }

  private void tag(Kind open, Kind close, String end, int begin) {
    add(open, "");
    Deque<Character> brackets = new ArrayDeque<>();
    while (true) {
      while (at < source.length() && Chars.isSpace(source.charAt(at))) {
        at++;
      }
      if (at == source.length()) {
        throw new TemplateException("the tag has no end " + end).at(begin);
      }
      char sign = source.charAt(at);
      int skipped = sign == '-' || sign == '+' && close == Kind.CLOSE_TAG ? 1 : 0;
      if (brackets.isEmpty() && source.startsWith(end, at + skipped)) {
        add(close, "");
        after(at + skipped + 2, skipped == 1 ? sign : ' ', close == Kind.CLOSE_TAG);
        return;
      }
      token(brackets);
    }
  }

  private void token(Deque<Character> brackets) {
    char first = source.charAt(at);
    if (first == '"' || first == '\'') {
      string(first);
    } else if (first >= '0' && first <= '9') {
      Matcher number = NUMBER.matcher(source).region(at, source.length());
      number.lookingAt();
      if (number.group().contains("__")) {
        throw new TemplateException("a number has two _ in a row");
      }
      boolean index = tokens.getLast().is("."); // as in pair.0.1
      int end = number.group(1) == null || !index ? number.end() : number.start(1);
      boolean whole = index || number.group(1) == null;
      add(whole ? Kind.INTEGER : Kind.FLOAT, source.substring(at, end).replace("_", ""));
      at = end;
    } else if (Character.isUnicodeIdentifierStart(first) || first == '_') {
      int end = at + 1;
      while (end < source.length() && Character.isUnicodeIdentifierPart(source.charAt(end))) {
        end++;
      }
      add(Kind.NAME, source.substring(at, end));
      at = end;
    } else {
      operator(brackets);
    }
  }

  private void operator(Deque<Character> brackets) {
    for (String operator : OPERATORS) {
      if (source.startsWith(operator, at)) {
        balance(operator.charAt(0), brackets);
        add(Kind.OPERATOR, operator);
        at += operator.length();
        return;
      }
    }
    throw new TemplateException(
        "the character '%s' belongs to no expression", Character.toString(source.codePointAt(at)));
  }

  private void balance(char bracket, Deque<Character> brackets) {
    switch (bracket) {
      case '(' -> brackets.push(')');
      case '[' -> brackets.push(']');
      case '{' -> brackets.push('}');
      case ')', ']', '}' -> {
        if (brackets.isEmpty() || brackets.pop() != bracket) {
          throw new TemplateException("'" + bracket + "' closes nothing");
        }
      }
      default -> {}
    }
  }

  private void string(char quote) {
    int begin = line();
    int end = at + 1;
    while (end < source.length() && source.charAt(end) != quote) {
      end += source.charAt(end) == '\\' ? 2 : 1;
    }
    if (end >= source.length()) {
      throw new TemplateException("the string has no end").at(begin);
    }
    add(Kind.STRING, Chars.unescaped(source.substring(at + 1, end)));
    at = end + 1;
  }

  private void add(Kind kind, String text) {
    tokens.add(new Token(kind, text, line()));
  }

  private int line() {
    for (; counted < at; counted++) {
      line += source.charAt(counted) == '\n' ? 1 : 0;
    }
    return line;
  }

  private char charAt(int index) {
    return index < source.length() ? source.charAt(index) : '\0';
  }
}

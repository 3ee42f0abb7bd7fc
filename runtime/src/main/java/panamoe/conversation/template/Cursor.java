package panamoe.conversation.template;

import java.util.List;
import panamoe.conversation.template.Token.Kind;

/** A read position in a list of tokens. */
final class Cursor {
  /** Maximum nesting of expressions and statements. */
  private static final int MOST_NESTED = 100;

  private final List<Token> tokens;
  private int at;
  private int nested;

  Cursor(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token next() {
    return tokens.get(at);
  }

  Token following() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  int line() {
    return next().line();
  }

  Token take() {
    Token token = next();
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  boolean is(String name) {
    return next().is(name);
  }

  boolean is(Kind kind) {
    return next().kind() == kind;
  }

  /** Takes a name or an operator if it comes next. */
  boolean takes(String name) {
    boolean is = is(name);
    if (is) {
      take();
    }
    return is;
  }

  void require(String name) {
    if (!takes(name)) {
      throw wrong("'" + name + "'");
    }
  }

  /** Reads comma-separated items up to and including {@code end}. */
  void list(String end, Runnable item) {
    while (!is(end)) {
      item.run();
      if (!takes(",")) {
        break;
      }
    }
    require(end);
  }

  Token require(Kind kind, String expected) {
    if (!is(kind)) {
      throw wrong(expected);
    }
    return take();
  }

  String name() {
    return require(Kind.NAME, "a name").text();
  }

  TemplateException wrong(String expected) {
    return new TemplateException("there is " + next().shown() + ", expected " + expected)
        .at(line());
  }

  void enter() {
    if (++nested > MOST_NESTED) {
      throw new TemplateException("more than " + MOST_NESTED + " parts lie within each other")
          .at(line());
    }
  }

  void leave() {
    nested--;
  }
}

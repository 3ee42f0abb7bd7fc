package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import panamoe.conversation.template.Statement.Branch;
import panamoe.conversation.template.Statement.Signature;
import panamoe.conversation.template.Token.Kind;

/** Reads a template's statements. */
final class StatementParser {
  private final Cursor cursor;
  private final ExpressionParser expressions;
  private int loops;

  private StatementParser(Cursor cursor) {
    this.cursor = cursor;
    this.expressions = new ExpressionParser(cursor);
  }

  /**
   * @throws TemplateException with the line, if the template is malformed
   */
  static List<Statement> parse(String template) {
    StatementParser parser = new StatementParser(new Cursor(Lexer.tokens(template)));
    List<Statement> statements = parser.until(Set.of(), "");
    if (!parser.cursor.is(Kind.END)) {
      throw parser.cursor.wrong("text or a tag");
    }
    return statements;
  }

  /** Statements up to a tag that begins with one of {@code ends}, which is then next. */
  private List<Statement> until(Set<String> ends, String of) {
    int begun = cursor.line();
    cursor.enter();
    List<Statement> statements = new ArrayList<>();
    while (!cursor.is(Kind.END)) {
      Token token = cursor.take();
      switch (token.kind()) {
        case DATA -> statements.add(new Statement.Data(Text.of(token.text())));
        case OPEN_PRINT -> {
          statements.add(new Statement.Print(expressions.tuple(true)));
          cursor.require(Kind.CLOSE_PRINT, "}}");
        }
        default -> {
          if (cursor.is(Kind.NAME) && ends.contains(cursor.next().text())) {
            cursor.leave();
            return statements;
          }
          statements.add(tag());
        }
      }
    }
    if (!ends.isEmpty()) {
      throw new TemplateException(of + " has no end" + of).at(begun);
    }
    cursor.leave();
    return statements;
  }

  /** The body of a tag up to its end, of which nothing is left. */
  private List<Statement> body(String tag) {
    close();
    List<Statement> body = until(Set.of("end" + tag), tag);
    cursor.take();
    close();
    return body;
  }

  private void close() {
    cursor.require(Kind.CLOSE_TAG, "%}");
  }

  private Statement tag() {
    int line = cursor.line();
    String tag = cursor.name();
    return switch (tag) {
      case "if" -> ifs();
      case "for" -> loop();
      case "set" -> set(line);
      case "macro" -> {
        String name = cursor.name();
        Signature signature = signature();
        yield new Statement.MacroOf(name, signature, outsideLoops("macro"));
      }
      case "call" -> call(line);
      case "filter" -> {
        Expression filtered = expressions.filtersOf(new Expression.Name(Statement.BODY, line));
        yield new Statement.FilterBody(body("filter"), filtered);
      }
      case "with" -> with();
      case "generation" -> new Statement.Group(body("generation"));
      case "break", "continue" -> {
        if (loops == 0) {
          throw new TemplateException(tag + " stands in no loop").at(line);
        }
        close();
        yield tag.equals("break") ? new Statement.Break() : new Statement.Continue();
      }
      default -> throw new TemplateException("there is no tag '" + tag + "' here").at(line);
    };
  }

  private Statement ifs() {
    List<Branch> branches = new ArrayList<>();
    List<Statement> otherwise = List.of();
    String tag = "if";
    while (!tag.equals("endif")) {
      if (tag.equals("else")) {
        close();
        otherwise = until(Set.of("endif"), "if");
      } else {
        Expression test = expressions.tuple(true);
        close();
        branches.add(new Branch(test, until(Set.of("elif", "else", "endif"), "if")));
      }
      tag = cursor.name();
    }
    close();
    return new Statement.If(branches, otherwise);
  }

  private Statement loop() {
    List<String> targets = targets();
    cursor.require("in");
    Expression in = expressions.tuple(false);
    Expression only = cursor.takes("if") ? expressions.whole() : null;
    if (cursor.is("recursive")) {
      throw new TemplateException("recursive loops are not supported").at(cursor.line());
    }
    close();
    loops++;
    List<Statement> body = until(Set.of("else", "endfor"), "for");
    loops--;
    List<Statement> otherwise = List.of();
    if (cursor.name().equals("else")) {
      close();
      otherwise = until(Set.of("endfor"), "for");
      cursor.take();
    }
    close();
    return new Statement.For(targets, in, only, body, otherwise);
  }

  private List<String> targets() {
    boolean parentheses = cursor.takes("(");
    List<String> targets = new ArrayList<>();
    do {
      targets.add(cursor.name());
    } while (cursor.takes(",") && cursor.is(Kind.NAME));
    if (parentheses) {
      cursor.require(")");
    }
    return targets;
  }

  private Statement set(int line) {
    if (cursor.following().is(".")) {
      String namespace = cursor.name();
      cursor.take();
      String name = cursor.name();
      cursor.require("=");
      Expression value = expressions.tuple(true);
      close();
      return new Statement.SetAttribute(namespace, name, value, line);
    }
    List<String> targets = targets();
    if (cursor.takes("=")) {
      Expression value = expressions.tuple(true);
      close();
      return new Statement.SetNames(targets, value, line);
    }
    if (targets.size() > 1) {
      throw cursor.wrong("'='");
    }
    Expression filtered = expressions.filtersAfter(new Expression.Name(Statement.BODY, line));
    return new Statement.SetBody(targets.getFirst(), outsideLoops("set"), filtered);
  }

  private Statement call(int line) {
    Signature signature = cursor.is("(") ? signature() : new Signature(List.of(), List.of());
    if (expressions.whole() instanceof Expression.Call call) {
      return new Statement.CallBody(signature, call, outsideLoops("call"));
    }
    throw new TemplateException("call has no call of a macro").at(line);
  }

  private Statement with() {
    List<String> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!cursor.is(Kind.CLOSE_TAG)) {
      targets.add(cursor.name());
      cursor.require("=");
      values.add(expressions.whole());
      if (!cursor.takes(",")) {
        break;
      }
    }
    return new Statement.With(targets, values, body("with"));
  }

  private Signature signature() {
    cursor.require("(");
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    while (!cursor.is(")")) {
      parameters.add(cursor.name());
      if (cursor.takes("=")) {
        defaults.add(expressions.whole());
      } else if (!defaults.isEmpty()) {
        throw cursor.wrong("'='");
      }
      if (!cursor.takes(",")) {
        break;
      }
    }
    cursor.require(")");
    return new Signature(parameters, defaults);
  }

  /** A body that no break leaves for a loop around it. */
  private List<Statement> outsideLoops(String tag) {
    int around = loops;
    loops = 0;
    List<Statement> body = body(tag);
    loops = around;
    return body;
  }
}

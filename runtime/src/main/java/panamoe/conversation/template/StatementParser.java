package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import panamoe.conversation.template.Statement.Flow;
import panamoe.conversation.template.Token.Kind;

final class StatementParser {
  /** The variable with the body of a filter block; no template can write this name. */
  private static final String BODY = "{body}";

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

  /** Statements up to a tag that begins with one of {@code ends}; that tag comes next. */
  private List<Statement> until(Set<String> ends, String of) {
    int begun = cursor.line();
    cursor.enter();
    List<Statement> statements = new ArrayList<>();
    while (!cursor.is(Kind.END)) {
      Token token = cursor.take();
      switch (token.kind()) {
        case DATA -> statements.add(Statement.print(token.line(), literal(token.text())));
        case OPEN_PRINT -> {
          statements.add(Statement.print(cursor.line(), expressions.tuple(true)));
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

  private static Expression literal(String text) {
    Text value = Text.of(text);
    return _ -> value;
  }

  /** The body of a tag, with its end tag read. */
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
        List<Statement> body = outsideLoops("macro");
        yield (scope, _) -> {
          scope.set(name, signature.macro(body, scope));
          return Flow.NEXT;
        };
      }
      case "call" -> call(line);
      case "filter" -> {
        Expression filtered = expressions.filtersOf(scope -> scope.get(BODY));
        List<Statement> body = body("filter");
        yield Statement.print(line, scope -> filtered(body, filtered, scope));
      }
      case "with" -> with();
      case "generation" -> block(body("generation")); // has no effect on the output
      case "break", "continue" -> {
        if (loops == 0) {
          throw new TemplateException(tag + " stands in no loop").at(line);
        }
        close();
        Flow flow = tag.equals("break") ? Flow.BREAK : Flow.CONTINUE;
        yield (_, _) -> flow;
      }
      default -> throw new TemplateException("there is no tag '" + tag + "' here").at(line);
    };
  }

  private static Statement block(List<Statement> body) {
    return (scope, out) -> Statement.execute(body, scope, out);
  }

  /** The filtered output of a body. */
  private static Object filtered(List<Statement> body, Expression filtered, Scope scope) {
    Scope inner = new Scope(scope);
    inner.set(BODY, Statement.text(body, inner));
    return filtered.value(inner);
  }

  private Statement ifs() {
    List<Expression> tests = new ArrayList<>();
    List<List<Statement>> bodies = new ArrayList<>();
    String tag = "if";
    while (!tag.equals("endif")) {
      tests.add(tag.equals("else") ? _ -> true : expressions.tuple(true));
      close();
      Set<String> ends = tag.equals("else") ? Set.of("endif") : Set.of("elif", "else", "endif");
      bodies.add(until(ends, "if"));
      tag = cursor.name();
    }
    close();
    return (scope, out) -> {
      for (int i = 0; i < tests.size(); i++) {
        if (tests.get(i).truth(scope)) {
          return Statement.execute(bodies.get(i), scope, out);
        }
      }
      return Flow.NEXT;
    };
  }

  private Statement loop() {
    List<String> targets = targets();
    cursor.require("in");
    int line = cursor.line();
    Expression in = expressions.tuple(false);
    Expression only = cursor.takes("if") ? expressions.whole() : null;
    if (cursor.is("recursive")) {
      throw new TemplateException("recursive loops are not supported").at(cursor.line());
    }
    close();
    loops++;
    List<Statement> body = until(Set.of("else", "endfor"), "for");
    loops--;
    List<Statement> otherwise = new ArrayList<>();
    if (cursor.name().equals("else")) {
      close();
      otherwise.addAll(until(Set.of("endfor"), "for"));
      cursor.take();
    }
    close();
    return Statement.at(
        line,
        (scope, out) -> {
          List<Object> elements = JinjaValues.elements(in.value(scope), scope.budget());
          if (only != null) {
            elements = elements.stream().filter(each -> holds(only, targets, each, scope)).toList();
          }
          Loop state = new Loop(elements, scope.budget());
          Flow flow = Flow.NEXT;
          for (int i = 0; flow != Flow.BREAK && i < elements.size(); i++) {
            state.at(i);
            Scope inner = new Scope(scope);
            inner.set("loop", state);
            Statement.assign(targets, elements.get(i), inner);
            flow = Statement.execute(body, inner, out);
          }
          if (elements.isEmpty()) {
            Statement.execute(otherwise, new Scope(scope), out);
          }
          return Flow.NEXT;
        });
  }

  private static boolean holds(Expression test, List<String> targets, Object element, Scope scope) {
    Scope inner = new Scope(scope);
    Statement.assign(targets, element, inner);
    return test.truth(inner);
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
      return setAttribute(line);
    }
    List<String> targets = targets();
    if (cursor.takes("=")) {
      Expression value = expressions.tuple(true);
      close();
      return assignment(line, scope -> Statement.assign(targets, value.value(scope), scope));
    }
    if (targets.size() > 1) {
      throw cursor.wrong("'='");
    }
    Expression filtered = expressions.filters(scope -> scope.get(BODY));
    List<Statement> body = outsideLoops("set");
    return assignment(
        line, scope -> scope.set(targets.getFirst(), filtered(body, filtered, scope)));
  }

  private Statement setAttribute(int line) {
    String of = cursor.name();
    cursor.take();
    String name = cursor.name();
    cursor.require("=");
    Expression value = expressions.tuple(true);
    close();
    return assignment(
        line,
        scope -> {
          if (!(scope.get(of) instanceof NamespaceObject namespace)) {
            throw new TemplateException(of + " is no namespace, so it cannot be changed");
          }
          namespace.values().put(name, value.value(scope));
        });
  }

  private static Statement assignment(int line, Consumer<Scope> sets) {
    return Statement.at(
        line,
        (scope, _) -> {
          sets.accept(scope);
          return Flow.NEXT;
        });
  }

  private Statement call(int line) {
    Signature signature = cursor.is("(") ? signature() : new Signature(List.of(), List.of());
    if (expressions.whole() instanceof Expression.Call call) {
      List<Statement> body = outsideLoops("call");
      return Statement.print(
          call.line(), scope -> call.with("caller", signature.macro(body, scope), scope));
    }
    throw new TemplateException("call has no call of a macro").at(line);
  }

  private Statement with() {
    Map<String, Expression> values = new LinkedHashMap<>();
    while (!cursor.is(Kind.CLOSE_TAG)) {
      String name = cursor.name();
      cursor.require("=");
      values.put(name, expressions.whole());
      if (!cursor.takes(",")) {
        break;
      }
    }
    List<Statement> body = body("with");
    return (scope, out) -> {
      Scope inner = new Scope(scope);
      values.forEach((name, value) -> inner.set(name, value.value(scope)));
      return Statement.execute(body, inner, out);
    };
  }

  private Signature signature() {
    cursor.require("(");
    List<String> parameters = new ArrayList<>();
    List<Expression> defaults = new ArrayList<>();
    cursor.list(
        ")",
        () -> {
          parameters.add(cursor.name());
          if (cursor.takes("=")) {
            defaults.add(expressions.whole());
          } else if (!defaults.isEmpty()) {
            throw cursor.wrong("'='");
          }
        });
    return new Signature(parameters, defaults);
  }

  /** A body in which break and continue cannot reach an outer loop. */
  private List<Statement> outsideLoops(String tag) {
    int around = loops;
    loops = 0;
    List<Statement> body = body(tag);
    loops = around;
    return body;
  }
}

package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.conversation.template.Expression.Inputs;
import panamoe.conversation.template.Token.Kind;

/**
 * Parses operands: names, literals, and attributes, items and calls of them.
 *
 * @param expressions parses what brackets enclose
 */
record OperandParser(Cursor cursor, ExpressionParser expressions) {
  /** A name, a literal, or a bracketed expression. */
  Expression primary() {
    Token token = cursor.next();
    int line = token.line();
    switch (token.kind()) {
      case NAME -> {
        cursor.take();
        return switch (token.text()) {
          case "true", "True" -> literal(true, line);
          case "false", "False" -> literal(false, line);
          case "none", "None" -> literal(None.NONE, line);
          default -> Expression.at(line, scope -> scope.get(token.text()));
        };
      }
      case STRING -> {
        StringBuilder text = new StringBuilder();
        while (cursor.is(Kind.STRING)) {
          text.append(cursor.take().text());
        }
        return literal(Text.of(text.toString()), line);
      }
      case INTEGER, FLOAT -> {
        cursor.take();
        return literal(number(token), line);
      }
      default -> {
        if (cursor.takes("(")) {
          Expression inner =
              cursor.is(")") ? literal(new Tuple(List.of()), line) : expressions.tuple(true);
          cursor.require(")");
          return inner;
        }
        if (cursor.takes("[")) {
          return list(line);
        }
        if (cursor.takes("{")) {
          return mapping(line);
        }
        throw cursor.wrong("an expression");
      }
    }
  }

  private static Expression literal(Object value, int line) {
    return Expression.at(line, _ -> value);
  }

  static List<Object> values(List<Expression> expressions, Scope scope) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expression expression : expressions) {
      values.add(expression.value(scope));
    }
    return values;
  }

  private static Object number(Token token) {
    if (token.kind() == Kind.FLOAT) {
      return Double.valueOf(token.text());
    }
    try {
      return Long.valueOf(token.text());
    } catch (NumberFormatException _) {
      throw new TemplateException("the number " + token.shown() + " is beyond 64 bits")
          .at(token.line());
    }
  }

  private Expression list(int line) {
    List<Expression> items = new ArrayList<>();
    cursor.list("]", () -> items.add(expressions.whole()));
    return Expression.at(line, scope -> values(items, scope));
  }

  private Expression mapping(int line) {
    Map<Expression, Expression> entries = new LinkedHashMap<>(); // compared by identity
    cursor.list(
        "}",
        () -> {
          Expression key = expressions.whole();
          cursor.require(":");
          entries.put(key, expressions.whole());
        });
    return Expression.at(
        line,
        scope -> {
          Map<Object, Object> map = new LinkedHashMap<>();
          entries.forEach(
              (key, value) -> map.put(JinjaValues.key(key.value(scope)), value.value(scope)));
          return map;
        });
  }

  /** Attributes, items and calls after a value. */
  Expression postfix(Expression of) {
    Expression value = of;
    while (true) {
      int line = cursor.line();
      if (cursor.takes(".")) {
        value = attribute(value, cursor.take(), line);
      } else if (cursor.takes("[")) {
        value = subscript(value, line);
      } else if (cursor.is("(")) {
        value = new Expression.Call(value, inputs(), line);
      } else {
        return value;
      }
    }
  }

  private static Expression attribute(Expression of, Token name, int line) {
    return switch (name.kind()) {
      case NAME ->
          Expression.at(
              line, scope -> Attributes.attribute(of.value(scope), name.text(), scope.budget()));
      case INTEGER -> item(of, literal(number(name), line), line);
      default -> throw new TemplateException("after . there is no name").at(line);
    };
  }

  private static Expression item(Expression of, Expression index, int line) {
    return Expression.at(
        line, scope -> Attributes.item(of.value(scope), index.value(scope), scope.budget()));
  }

  private Expression subscript(Expression of, int line) {
    Expression[] bounds = new Expression[3];
    int colons = 0;
    while (!cursor.is("]")) {
      if (cursor.takes(":")) {
        if (++colons > 2) {
          throw cursor.wrong("']'");
        }
      } else if (bounds[colons] == null) {
        bounds[colons] = colons == 0 ? expressions.tuple(true) : expressions.whole();
      } else {
        throw cursor.wrong("']'");
      }
    }
    if (colons == 0 && bounds[0] == null) {
      throw cursor.wrong("an expression");
    }
    cursor.require("]");
    return colons == 0
        ? item(of, bounds[0], line)
        : Expression.at(
            line,
            scope ->
                Attributes.slice(
                    of.value(scope),
                    bound(bounds[0], scope),
                    bound(bounds[1], scope),
                    bound(bounds[2], scope),
                    scope.budget()));
  }

  private static Object bound(Expression bound, Scope scope) {
    return bound == null ? null : bound.value(scope);
  }

  /** The arguments in the parentheses of a call. */
  Inputs inputs() {
    cursor.require("(");
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Expression[] more = new Expression[2]; // the list after * and the mapping after **
    cursor.list(
        ")",
        () -> {
          if (cursor.takes("*")) {
            more[0] = expressions.whole();
          } else if (cursor.takes("**")) {
            more[1] = expressions.whole();
          } else if (cursor.is(Kind.NAME) && cursor.following().is("=")) {
            String name = cursor.name();
            cursor.take();
            named.put(name, expressions.whole());
          } else if (named.isEmpty() && more[0] == null && more[1] == null) {
            positional.add(expressions.whole());
          } else {
            throw cursor.wrong("a named argument");
          }
        });
    return scope -> {
      List<Object> values = values(positional, scope);
      if (more[0] != null) {
        values.addAll(JinjaValues.elements(more[0].value(scope), scope.budget()));
      }
      Map<String, Object> byName = new LinkedHashMap<>();
      named.forEach((name, expression) -> byName.put(name, expression.value(scope)));
      if (more[1] != null) {
        if (!(more[1].value(scope) instanceof Map<?, ?> map)) {
          throw new TemplateException("after ** there is no mapping");
        }
        map.forEach((key, value) -> byName.put(JinjaValues.text(key).chars(), value));
      }
      return new Arguments(values, byName);
    };
  }
}

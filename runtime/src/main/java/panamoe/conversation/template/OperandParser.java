package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.conversation.template.Expression.Inputs;
import panamoe.conversation.template.Token.Kind;

/** Reads operands of expressions: names, literals, and attributes, items and calls of them. */
final class OperandParser {
  private final Cursor cursor;
  private final ExpressionParser expressions;

  /**
   * @param expressions within brackets
   */
  OperandParser(Cursor cursor, ExpressionParser expressions) {
    this.cursor = cursor;
    this.expressions = expressions;
  }

  /** A name, a literal, or what brackets enclose. */
  Expression primary() {
    Token token = cursor.next();
    int line = token.line();
    switch (token.kind()) {
      case NAME -> {
        cursor.take();
        return switch (token.text()) {
          case "true", "True" -> new Expression.Literal(true, line);
          case "false", "False" -> new Expression.Literal(false, line);
          case "none", "None" -> new Expression.Literal(None.NONE, line);
          default -> new Expression.Name(token.text(), line);
        };
      }
      case STRING -> {
        StringBuilder text = new StringBuilder();
        while (cursor.is(Kind.STRING)) {
          text.append(cursor.take().text());
        }
        return new Expression.Literal(Text.of(text.toString()), line);
      }
      case INTEGER, FLOAT -> {
        cursor.take();
        return new Expression.Literal(number(token), line);
      }
      default -> {
        if (cursor.takes("(")) {
          Expression inner =
              cursor.is(")") ? new Expression.TupleOf(List.of(), line) : expressions.tuple(true);
          cursor.require(")");
          return inner;
        }
        if (cursor.takes("[")) {
          return new Expression.ListOf(items("]"), line);
        }
        if (cursor.takes("{")) {
          return mapping(line);
        }
        throw cursor.wrong("an expression");
      }
    }
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

  private List<Expression> items(String end) {
    List<Expression> items = new ArrayList<>();
    while (!cursor.is(end)) {
      items.add(expressions.whole());
      if (!cursor.takes(",")) {
        break;
      }
    }
    cursor.require(end);
    return items;
  }

  private Expression mapping(int line) {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!cursor.is("}")) {
      keys.add(expressions.whole());
      cursor.require(":");
      values.add(expressions.whole());
      if (!cursor.takes(",")) {
        break;
      }
    }
    cursor.require("}");
    return new Expression.MappingOf(keys, values, line);
  }

  /** Attributes, items and calls of a value. */
  Expression postfix(Expression of) {
    Expression value = of;
    while (true) {
      int line = cursor.line();
      if (cursor.takes(".")) {
        Token name = cursor.take();
        value =
            switch (name.kind()) {
              case NAME -> new Expression.Attribute(value, name.text(), line);
              case INTEGER ->
                  new Expression.Item(value, new Expression.Literal(number(name), line), line);
              default -> throw new TemplateException("after . there is no name").at(line);
            };
      } else if (cursor.takes("[")) {
        value = subscript(value, line);
      } else if (cursor.is("(")) {
        value = new Expression.Call(value, inputs(), line);
      } else {
        return value;
      }
    }
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
        ? new Expression.Item(of, bounds[0], line)
        : new Expression.Slice(of, bounds[0], bounds[1], bounds[2], line);
  }

  /** What stands in parentheses after a name that is called. */
  Inputs inputs() {
    cursor.require("(");
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Expression list = null;
    Expression mapping = null;
    while (!cursor.is(")")) {
      if (cursor.takes("*")) {
        list = expressions.whole();
      } else if (cursor.takes("**")) {
        mapping = expressions.whole();
      } else if (cursor.is(Kind.NAME) && cursor.following().is("=")) {
        String name = cursor.name();
        cursor.take();
        named.put(name, expressions.whole());
      } else if (named.isEmpty() && list == null && mapping == null) {
        positional.add(expressions.whole());
      } else {
        throw cursor.wrong("a named argument");
      }
      if (!cursor.takes(",")) {
        break;
      }
    }
    cursor.require(")");
    return new Inputs(positional, named, list, mapping);
  }
}

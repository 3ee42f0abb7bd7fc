package panamoe.data.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.data.template.Expression.Inputs;
import panamoe.data.template.Token.Kind;

/** Reads expressions, by the precedence of their operators. */
final class ExpressionParser {
  /** Operators that bind alike, from loosest to tightest. */
  private static final List<Set<String>> LEVELS =
      List.of(Set.of("+", "-"), Set.of("~"), Set.of("*", "/", "//", "%"), Set.of("**"));

  private static final Set<String> COMPARISONS =
      Set.of("==", "!=", "<", "<=", ">", ">=", "in", "not in");

  private final Cursor cursor;

  ExpressionParser(Cursor cursor) {
    this.cursor = cursor;
  }

  /** An expression, or several with commas, which are a tuple. */
  Expression tuple(boolean conditional) {
    int line = cursor.line();
    List<Expression> items = new ArrayList<>();
    boolean comma = false;
    do {
      if (!items.isEmpty() && endsTuple()) {
        break;
      }
      items.add(conditional ? whole() : or());
      comma |= cursor.is(",");
    } while (cursor.takes(","));
    return comma ? new Expression.TupleOf(items, line) : items.getFirst();
  }

  private boolean endsTuple() {
    return cursor.is(Kind.CLOSE_PRINT)
        || cursor.is(Kind.CLOSE_TAG)
        || cursor.is(")")
        || cursor.is("]")
        || cursor.is("=");
  }

  /** One expression. */
  Expression whole() {
    cursor.enter();
    Expression then = or();
    while (cursor.is("if")) {
      int line = cursor.take().line();
      Expression test = or();
      Expression otherwise = cursor.takes("else") ? whole() : null;
      then = new Expression.Conditional(test, then, otherwise, line);
    }
    cursor.leave();
    return then;
  }

  /** One expression without {@code if} and {@code else}, which belong to its tag. */
  Expression or() {
    Expression left = and();
    while (cursor.is("or")) {
      int line = cursor.take().line();
      left = new Expression.Or(left, and(), line);
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (cursor.is("and")) {
      int line = cursor.take().line();
      left = new Expression.And(left, not(), line);
    }
    return left;
  }

  private Expression not() {
    if (!cursor.is("not")) {
      return comparison();
    }
    cursor.enter();
    int line = cursor.take().line();
    Expression not = new Expression.Not(not(), line);
    cursor.leave();
    return not;
  }

  private Expression comparison() {
    int line = cursor.line();
    List<Expression> operands = new ArrayList<>(List.of(binary(0)));
    List<String> operators = new ArrayList<>();
    while (true) {
      String operator = cursor.next().text();
      if (cursor.is("not") && cursor.following().is("in")) {
        cursor.take();
        operator = "not in";
      } else if (!COMPARISONS.contains(operator) || !cursor.is(operator)) {
        break;
      }
      cursor.take();
      operators.add(operator);
      operands.add(binary(0));
    }
    return operators.isEmpty()
        ? operands.getFirst()
        : new Expression.Comparison(operators, operands, line);
  }

  private Expression binary(int level) {
    if (level == LEVELS.size()) {
      return unary(true);
    }
    Expression left = binary(level + 1);
    while (cursor.is(Kind.OPERATOR) && LEVELS.get(level).contains(cursor.next().text())) {
      Token operator = cursor.take();
      left = new Expression.Binary(operator.text(), left, binary(level + 1), operator.line());
    }
    return left;
  }

  private Expression unary(boolean filtered) {
    cursor.enter();
    int line = cursor.line();
    Expression value;
    if (cursor.takes("-")) {
      value = new Expression.Negative(unary(false), line);
    } else if (cursor.takes("+")) {
      value = new Expression.Positive(unary(false), line);
    } else {
      value = primary();
    }
    value = postfix(value);
    value = filtered ? filters(value) : value;
    cursor.leave();
    return value;
  }

  private Expression primary() {
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
          Expression inner = cursor.is(")") ? new Expression.TupleOf(List.of(), line) : tuple(true);
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
      items.add(whole());
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
      keys.add(whole());
      cursor.require(":");
      values.add(whole());
      if (!cursor.takes(",")) {
        break;
      }
    }
    cursor.require("}");
    return new Expression.MappingOf(keys, values, line);
  }

  private Expression postfix(Expression of) {
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
        bounds[colons] = colons == 0 ? tuple(true) : whole();
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
        list = whole();
      } else if (cursor.takes("**")) {
        mapping = whole();
      } else if (cursor.is(Kind.NAME) && cursor.following().is("=")) {
        String name = cursor.name();
        cursor.take();
        named.put(name, whole());
      } else if (named.isEmpty() && list == null && mapping == null) {
        positional.add(whole());
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

  /** Filters, tests, and calls of what they give. */
  private Expression filters(Expression of) {
    Expression value = of;
    while (true) {
      int line = cursor.line();
      if (cursor.takes("|")) {
        value = filter(value, line);
      } else if (cursor.takes("is")) {
        value = test(value, line);
      } else if (cursor.is("(")) {
        value = new Expression.Call(value, inputs(), line);
      } else {
        return value;
      }
    }
  }

  /** Filters as they follow {@code filter} in a tag: the first without a bar. */
  Expression filtersOf(Expression of) {
    return filters(filter(of, cursor.line()));
  }

  /** As {@link #filtersOf}, where a bar begins them, if there are any. */
  Expression filtersAfter(Expression of) {
    return filters(of);
  }

  private Expression filter(Expression of, int line) {
    String name = dotted();
    return new Expression.Filter(of, name, cursor.is("(") ? inputs() : Inputs.NONE, line);
  }

  private Expression test(Expression of, int line) {
    boolean negated = cursor.takes("not");
    String name = dotted();
    Inputs inputs = Inputs.NONE;
    if (cursor.is("(")) {
      inputs = inputs();
    } else if (beginsOperand()) {
      inputs = new Inputs(List.of(postfix(primary())), Map.of(), null, null);
    }
    Expression test = new Expression.Test(of, name, inputs, line);
    return negated ? new Expression.Not(test, line) : test;
  }

  private boolean beginsOperand() {
    return switch (cursor.next().kind()) {
      case STRING, INTEGER, FLOAT -> true;
      case NAME ->
          !Set.of("else", "or", "and", "is", "if", "not", "in").contains(cursor.next().text());
      case OPERATOR -> cursor.is("[") || cursor.is("{");
      default -> false;
    };
  }

  private String dotted() {
    StringBuilder name = new StringBuilder(cursor.name());
    while (cursor.takes(".")) {
      name.append('.').append(cursor.name());
    }
    return name.toString();
  }
}

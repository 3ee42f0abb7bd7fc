package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.conversation.template.Expression.Inputs;
import panamoe.conversation.template.Token.Kind;

/**
 * Reads expressions, by the precedence of their operators; {@link OperandParser} reads operands.
 */
final class ExpressionParser {
  /** Operators that bind alike, from loosest to tightest. */
  private static final List<Set<String>> LEVELS =
      List.of(Set.of("+", "-"), Set.of("~"), Set.of("*", "/", "//", "%"), Set.of("**"));

  private static final Set<String> COMPARISONS =
      Set.of("==", "!=", "<", "<=", ">", ">=", "in", "not in");

  private final Cursor cursor;
  private final OperandParser operands;

  ExpressionParser(Cursor cursor) {
    this.cursor = cursor;
    this.operands = new OperandParser(cursor, this);
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
    List<Expression> compared = new ArrayList<>(List.of(binary(0)));
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
      compared.add(binary(0));
    }
    return operators.isEmpty()
        ? compared.getFirst()
        : new Expression.Comparison(operators, compared, line);
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
      value = operands.primary();
    }
    value = operands.postfix(value);
    value = filtered ? filters(value) : value;
    cursor.leave();
    return value;
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
        value = new Expression.Call(value, operands.inputs(), line);
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
    return new Expression.Filter(of, name, cursor.is("(") ? operands.inputs() : Inputs.NONE, line);
  }

  private Expression test(Expression of, int line) {
    boolean negated = cursor.takes("not");
    String name = dotted();
    Inputs inputs = Inputs.NONE;
    if (cursor.is("(")) {
      inputs = operands.inputs();
    } else if (beginsOperand()) {
      inputs = new Inputs(List.of(operands.postfix(operands.primary())), Map.of(), null, null);
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

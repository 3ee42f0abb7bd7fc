package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import panamoe.conversation.template.Expression.Inputs;
import panamoe.conversation.template.Token.Kind;

/** Parses expressions by operator precedence; {@link OperandParser} parses operands. */
final class ExpressionParser {
  /** Operators of equal precedence, from lowest to highest. */
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

  /** An expression; several with commas form a tuple. */
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
    return comma
        ? Expression.at(line, scope -> new Tuple(OperandParser.values(items, scope)))
        : items.getFirst();
  }

  private boolean endsTuple() {
    return cursor.is(Kind.CLOSE_PRINT)
        || cursor.is(Kind.CLOSE_TAG)
        || cursor.is(")")
        || cursor.is("]")
        || cursor.is("=");
  }

  Expression whole() {
    cursor.enter();
    Expression then = or();
    while (cursor.is("if")) {
      int line = cursor.take().line();
      Expression test = or();
      Expression otherwise =
          cursor.takes("else") ? whole() : _ -> new Undefined("the condition has no else");
      Expression kept = then;
      then = Expression.at(line, scope -> (test.truth(scope) ? kept : otherwise).value(scope));
    }
    cursor.leave();
    return then;
  }

  /** An expression without a conditional: the {@code if} belongs to the tag. */
  Expression or() {
    return junction("or", () -> junction("and", this::not));
  }

  /** Operands of {@code and} or {@code or}; the first that decides is the value. */
  private Expression junction(String operator, Supplier<Expression> operand) {
    boolean decides = operator.equals("or");
    Expression left = operand.get();
    while (cursor.is(operator)) {
      int line = cursor.take().line();
      Expression first = left;
      Expression right = operand.get();
      left =
          Expression.at(
              line,
              scope -> {
                Object value = first.value(scope);
                return JinjaValues.truth(value) == decides ? value : right.value(scope);
              });
    }
    return left;
  }

  private Expression not() {
    if (!cursor.is("not")) {
      return comparison();
    }
    cursor.enter();
    int line = cursor.take().line();
    Expression negated = not();
    cursor.leave();
    return Expression.at(line, scope -> !negated.truth(scope));
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
        : Expression.at(line, scope -> holds(compared, operators, scope));
  }

  /** Whether the comparison holds for each pair of neighbours. */
  private static boolean holds(List<Expression> compared, List<String> operators, Scope scope) {
    Object left = compared.getFirst().value(scope);
    boolean holds = true;
    for (int i = 0; holds && i < operators.size(); i++) {
      Object right = compared.get(i + 1).value(scope);
      holds = Tests.compare(operators.get(i), left, right, scope.budget());
      left = right;
    }
    return holds;
  }

  private Expression binary(int level) {
    if (level == LEVELS.size()) {
      return unary(true);
    }
    Expression left = binary(level + 1);
    while (cursor.is(Kind.OPERATOR) && LEVELS.get(level).contains(cursor.next().text())) {
      Token operator = cursor.take();
      Expression first = left;
      Expression second = binary(level + 1);
      left =
          Expression.at(
              operator.line(),
              scope ->
                  scope
                      .budget()
                      .spendOn(
                          Arithmetic.of(operator.text(), first.value(scope), second.value(scope))));
    }
    return left;
  }

  private Expression unary(boolean filtered) {
    cursor.enter();
    int line = cursor.line();
    Expression value;
    if (cursor.is("-") || cursor.is("+")) {
      long sign = cursor.take().text().equals("-") ? -1 : 1;
      Expression of = unary(false);
      value =
          Expression.at(
              line, scope -> Arithmetic.of("*", sign, JinjaValues.number(of.value(scope))));
    } else {
      value = operands.primary();
    }
    value = operands.postfix(value);
    value = filtered ? filters(value) : value;
    cursor.leave();
    return value;
  }

  /** Filters and tests, and calls of their results. */
  Expression filters(Expression of) {
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

  /** The filters of a {@code filter} tag, the first without a bar. */
  Expression filtersOf(Expression of) {
    return filters(filter(of, cursor.line()));
  }

  private Expression filter(Expression of, int line) {
    String name = dotted();
    Inputs inputs = cursor.is("(") ? operands.inputs() : Inputs.NONE;
    return Expression.at(
        line, scope -> Filters.apply(name, of.value(scope), inputs.in(scope), scope.budget()));
  }

  private Expression test(Expression of, int line) {
    boolean negated = cursor.takes("not");
    String name = dotted();
    Inputs inputs = cursor.is("(") ? operands.inputs() : beginsOperand() ? operand() : Inputs.NONE;
    return Expression.at(
        line,
        scope -> Tests.holds(name, of.value(scope), inputs.in(scope), scope.budget()) != negated);
  }

  private Inputs operand() {
    Expression only = operands.postfix(operands.primary());
    return scope -> new Arguments(List.of(only.value(scope)), Map.of());
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

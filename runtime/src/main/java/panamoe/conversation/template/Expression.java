package panamoe.conversation.template;

import java.util.List;
import java.util.Map;

/** What has a value. Each knows its line in the template. */
sealed interface Expression {
  int line();

  record Literal(Object value, int line) implements Expression {}

  record Name(String name, int line) implements Expression {}

  record ListOf(List<Expression> items, int line) implements Expression {}

  record TupleOf(List<Expression> items, int line) implements Expression {}

  record MappingOf(List<Expression> keys, List<Expression> values, int line)
      implements Expression {}

  /** {@code of.name}. */
  record Attribute(Expression of, String name, int line) implements Expression {}

  /** {@code of[index]}. */
  record Item(Expression of, Expression index, int line) implements Expression {}

  /** {@code of[from:to:step]}; null: not given. */
  record Slice(Expression of, Expression from, Expression to, Expression step, int line)
      implements Expression {}

  record Call(Expression of, Inputs inputs, int line) implements Expression {}

  record Filter(Expression of, String name, Inputs inputs, int line) implements Expression {}

  record Test(Expression of, String name, Inputs inputs, int line) implements Expression {}

  record Negative(Expression of, int line) implements Expression {}

  record Positive(Expression of, int line) implements Expression {}

  record Not(Expression of, int line) implements Expression {}

  record And(Expression left, Expression right, int line) implements Expression {}

  record Or(Expression left, Expression right, int line) implements Expression {}

  /** Arithmetic, and {@code ~}. */
  record Binary(String operator, Expression left, Expression right, int line)
      implements Expression {}

  /** {@code first < second == third}: each pair holds. */
  record Comparison(List<String> operators, List<Expression> operands, int line)
      implements Expression {}

  /**
   * {@code then if test else otherwise}.
   *
   * @param otherwise null: undefined
   */
  record Conditional(Expression test, Expression then, Expression otherwise, int line)
      implements Expression {}

  /**
   * What a call is given.
   *
   * @param list more positional ones, after {@code *}; null without
   * @param mapping more named ones, after {@code **}; null without
   */
  record Inputs(
      List<Expression> positional,
      Map<String, Expression> named,
      Expression list,
      Expression mapping) {
    static final Inputs NONE = new Inputs(List.of(), Map.of(), null, null);
  }
}

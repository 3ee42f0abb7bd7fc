package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.conversation.template.Expression.Inputs;

/** Computes expressions. */
final class Evaluator {
  private final Budget budget;

  Evaluator(Budget budget) {
    this.budget = budget;
  }

  /**
   * @throws TemplateException with the line of what failed
   */
  Object value(Expression expression, Scope scope) {
    budget.enter();
    try {
      return compute(expression, scope);
    } catch (TemplateException e) {
      throw e.at(expression.line());
    } finally {
      budget.leave();
    }
  }

  boolean truth(Expression expression, Scope scope) {
    return Values.truth(value(expression, scope));
  }

  private Object compute(Expression expression, Scope scope) {
    return switch (expression) {
      case Expression.Literal literal -> literal.value();
      case Expression.Name name -> scope.get(name.name());
      case Expression.ListOf list -> values(list.items(), scope);
      case Expression.TupleOf tuple -> new Tuple(values(tuple.items(), scope));
      case Expression.MappingOf mapping -> mapping(mapping, scope);
      case Expression.Attribute attribute ->
          Attributes.attribute(value(attribute.of(), scope), attribute.name(), budget);
      case Expression.Item item ->
          Attributes.item(value(item.of(), scope), value(item.index(), scope), budget);
      case Expression.Slice slice ->
          Attributes.slice(
              value(slice.of(), scope),
              bound(slice.from(), scope),
              bound(slice.to(), scope),
              bound(slice.step(), scope),
              budget);
      case Expression.Call call -> call(call, scope);
      case Expression.Filter filter ->
          Filters.apply(
              filter.name(), value(filter.of(), scope), arguments(filter.inputs(), scope), budget);
      case Expression.Test test ->
          Tests.holds(
              test.name(), value(test.of(), scope), arguments(test.inputs(), scope), budget);
      case Expression.Negative negative -> Arithmetic.of("*", -1L, number(negative.of(), scope));
      case Expression.Positive positive -> number(positive.of(), scope);
      case Expression.Not not -> !truth(not.of(), scope);
      case Expression.And and -> {
        Object left = value(and.left(), scope);
        yield Values.truth(left) ? value(and.right(), scope) : left;
      }
      case Expression.Or or -> {
        Object left = value(or.left(), scope);
        yield Values.truth(left) ? left : value(or.right(), scope);
      }
      case Expression.Binary binary ->
          budget.spendOn(
              Arithmetic.of(
                  binary.operator(), value(binary.left(), scope), value(binary.right(), scope)));
      case Expression.Comparison comparison -> compare(comparison, scope);
      case Expression.Conditional conditional -> {
        if (truth(conditional.test(), scope)) {
          yield value(conditional.then(), scope);
        }
        yield conditional.otherwise() == null
            ? new Undefined("the condition has no else")
            : value(conditional.otherwise(), scope);
      }
    };
  }

  private List<Object> values(List<Expression> expressions, Scope scope) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expression expression : expressions) {
      values.add(value(expression, scope));
    }
    return values;
  }

  private Object number(Expression expression, Scope scope) {
    Object value = value(expression, scope);
    boolean whole = value instanceof Long || value instanceof Boolean;
    return whole ? (Object) Values.whole(value) : (Object) Values.real(value);
  }

  private Map<Object, Object> mapping(Expression.MappingOf mapping, Scope scope) {
    Map<Object, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < mapping.keys().size(); i++) {
      map.put(
          Values.key(value(mapping.keys().get(i), scope)), value(mapping.values().get(i), scope));
    }
    return map;
  }

  private Object bound(Expression bound, Scope scope) {
    return bound == null ? null : value(bound, scope);
  }

  private Object compare(Expression.Comparison comparison, Scope scope) {
    Object left = value(comparison.operands().getFirst(), scope);
    boolean holds = true;
    for (int i = 0; holds && i < comparison.operators().size(); i++) {
      Object right = value(comparison.operands().get(i + 1), scope);
      holds =
          switch (comparison.operators().get(i)) {
            case "==" -> Values.equal(left, right, budget);
            case "!=" -> !Values.equal(left, right, budget);
            case "<" -> Values.compare(left, right, budget) < 0;
            case "<=" -> Values.compare(left, right, budget) <= 0;
            case ">" -> Values.compare(left, right, budget) > 0;
            case ">=" -> Values.compare(left, right, budget) >= 0;
            case "in" -> Values.contains(right, left, budget);
            default -> !Values.contains(right, left, budget);
          };
      left = right;
    }
    return holds;
  }

  private Object call(Expression.Call call, Scope scope) {
    return call(value(call.of(), scope), arguments(call.inputs(), scope));
  }

  Object call(Object callee, Arguments arguments) {
    return switch (callee) {
      case Function function -> budget.spendOn(function.call(arguments));
      case Undefined undefined -> throw undefined.error();
      default ->
          throw new TemplateException("'" + Values.type(callee) + "' object is not callable");
    };
  }

  Arguments arguments(Inputs inputs, Scope scope) {
    if (inputs == Inputs.NONE) {
      return Arguments.NONE;
    }
    List<Object> positional = values(inputs.positional(), scope);
    if (inputs.list() != null) {
      positional.addAll(Values.elements(value(inputs.list(), scope), budget));
    }
    Map<String, Object> named = new LinkedHashMap<>();
    inputs.named().forEach((name, expression) -> named.put(name, value(expression, scope)));
    if (inputs.mapping() != null) {
      if (!(value(inputs.mapping(), scope) instanceof Map<?, ?> more)) {
        throw new TemplateException("after ** there is no mapping");
      }
      more.forEach((key, value) -> named.put(Values.text(key).chars(), value));
    }
    return new Arguments(positional, named);
  }
}

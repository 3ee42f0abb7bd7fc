package panamoe.conversation.template;

import java.util.LinkedHashMap;
import java.util.Map;

/** An expression: it has a value in a scope. */
@FunctionalInterface
interface Expression {
  Object value(Scope scope);

  default boolean truth(Scope scope) {
    return JinjaValues.truth(value(scope));
  }

  /** The arguments of a call. */
  @FunctionalInterface
  interface Inputs {
    Inputs NONE = _ -> Arguments.NONE;

    Arguments in(Scope scope);
  }

  /** A part of a template that adds its line to failures. */
  static Expression at(int line, Expression part) {
    return scope -> {
      scope.budget().enter();
      try {
        return part.value(scope);
      } catch (TemplateException e) {
        throw e.at(line);
      } finally {
        scope.budget().leave();
      }
    };
  }

  /** A call; a tag can add a body to its arguments. */
  record Call(Expression of, Inputs inputs, int line) implements Expression {
    @Override
    public Object value(Scope scope) {
      return at(line, inner -> call(of.value(inner), inputs.in(inner), inner)).value(scope);
    }

    /** Calls with one more argument. */
    Object with(String name, Object value, Scope scope) {
      Arguments given = inputs.in(scope);
      Map<String, Object> named = new LinkedHashMap<>(given.named());
      named.put(name, value);
      Arguments all = new Arguments(given.positional(), named);
      return at(line, inner -> call(of.value(inner), all, inner)).value(scope);
    }

    private static Object call(Object callee, Arguments arguments, Scope scope) {
      return switch (callee) {
        case Function function -> scope.budget().spendOn(function.call(arguments));
        case Undefined undefined -> throw undefined.error();
        default ->
            throw new TemplateException(
                "'" + JinjaValues.type(callee) + "' object is not callable");
      };
    }
  }
}

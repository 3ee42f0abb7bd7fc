package panamoe.conversation.template;

import java.math.BigInteger;
import java.util.List;
import java.util.Map;

/** The tests of {@code value is NAME}, by name. */
final class Tests {
  private Tests() {}

  /**
   * @throws TemplateException if there is no such test
   */
  static boolean holds(String name, Object value, Arguments arguments, RenderLimits budget) {
    return switch (name) {
      case "defined" -> !(value instanceof Undefined);
      case "undefined" -> value instanceof Undefined;
      case "none" -> value == None.NONE;
      case "true" -> Boolean.TRUE.equals(value);
      case "false" -> Boolean.FALSE.equals(value);
      case "boolean" -> value instanceof Boolean;
      case "integer" -> value instanceof Long || value instanceof BigInteger;
      case "float" -> value instanceof Double;
      case "number" -> JinjaValues.isNumber(value);
      case "string" -> value instanceof Text;
      case "mapping" -> value instanceof Map<?, ?>;
      case "sequence", "iterable" ->
          value instanceof Text
              || value instanceof List<?>
              || value instanceof Map<?, ?>
              || value instanceof Undefined;
      case "callable" -> value instanceof Function;
      case "odd" -> Math.floorMod(JinjaValues.whole(value), 2L) == 1;
      case "even" -> Math.floorMod(JinjaValues.whole(value), 2L) == 0;
      case "divisibleby" -> {
        long by = JinjaValues.whole(arguments.one("num"));
        if (by == 0) {
          throw new TemplateException("division by zero");
        }
        yield JinjaValues.whole(value) % by == 0;
      }
      case "lower" -> isCase(value, "islower", budget);
      case "upper" -> isCase(value, "isupper", budget);
      case "in" -> JinjaValues.contains(arguments.one("seq"), value, budget);
      case "sameas" -> {
        Object other = arguments.one("other");
        yield value == other || JinjaValues.isKey(value) && value.equals(other);
      }
      case "filter" -> value instanceof Text text && Filters.exists(text.chars());
      case "eq", "equalto", "==" -> compare("==", value, arguments.one("other"), budget);
      case "ne", "!=" -> compare("!=", value, arguments.one("other"), budget);
      case "lt", "lessthan", "<" -> compare("<", value, arguments.one("other"), budget);
      case "le", "<=" -> compare("<=", value, arguments.one("other"), budget);
      case "gt", "greaterthan", ">" -> compare(">", value, arguments.one("other"), budget);
      case "ge", ">=" -> compare(">=", value, arguments.one("other"), budget);
      default -> throw new TemplateException("there is no test '" + name + "'");
    };
  }

  /** Whether a comparison holds. */
  static boolean compare(String operator, Object left, Object right, RenderLimits budget) {
    return switch (operator) {
      case "==" -> JinjaValues.equal(left, right, budget);
      case "!=" -> !JinjaValues.equal(left, right, budget);
      case "<" -> JinjaValues.compare(left, right, budget) < 0;
      case "<=" -> JinjaValues.compare(left, right, budget) <= 0;
      case ">" -> JinjaValues.compare(left, right, budget) > 0;
      case ">=" -> JinjaValues.compare(left, right, budget) >= 0;
      case "in" -> JinjaValues.contains(right, left, budget);
      default -> !JinjaValues.contains(right, left, budget);
    };
  }

  private static boolean isCase(Object value, String method, RenderLimits budget) {
    return (boolean) TextMethods.method(PythonText.str(value), method, budget).call(Arguments.NONE);
  }
}

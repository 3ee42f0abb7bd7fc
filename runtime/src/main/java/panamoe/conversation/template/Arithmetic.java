package panamoe.conversation.template;

import java.util.ArrayList;
import java.util.List;

/** Binary operators with Python's semantics. */
final class Arithmetic {
  private Arithmetic() {}

  static Object of(String operator, Object left, Object right) {
    if (operator.equals("~")) {
      return PythonText.str(left).plus(PythonText.str(right));
    }
    JinjaValues.requireDefined(left);
    JinjaValues.requireDefined(right);
    if (JinjaValues.isNumber(left) && JinjaValues.isNumber(right)) {
      try {
        return left instanceof Double || right instanceof Double
            ? reals(operator, JinjaValues.real(left), JinjaValues.real(right))
            : wholes(operator, JinjaValues.whole(left), JinjaValues.whole(right));
      } catch (ArithmeticException _) {
        throw new TemplateException("a number is beyond 64 bits");
      }
    }
    if (operator.equals("+")) {
      return sum(left, right);
    }
    if (operator.equals("%") && left instanceof Text pattern) {
      return Formatting.percent(pattern, right);
    }
    if (operator.equals("*") && JinjaValues.isNumber(right)) {
      return repeated(left, JinjaValues.whole(right));
    }
    if (operator.equals("*") && JinjaValues.isNumber(left)) {
      return repeated(right, JinjaValues.whole(left));
    }
    throw unsupported(operator, left, right);
  }

  private static TemplateException unsupported(String operator, Object left, Object right) {
    return new TemplateException(
        operator + " is not for " + JinjaValues.type(left) + " and " + JinjaValues.type(right));
  }

  private static Object sum(Object left, Object right) {
    if (left instanceof Text a && right instanceof Text b) {
      return a.isSafe() || b.isSafe() ? a.escaped().plus(b.escaped()).safe() : a.plus(b);
    }
    if (left instanceof List<?> a && right instanceof List<?> b) {
      List<Object> sum = new ArrayList<>(a);
      sum.addAll(b);
      return left instanceof Tuple ? new Tuple(sum) : sum;
    }
    throw unsupported("+", left, right);
  }

  private static Object repeated(Object value, long times) {
    if (value instanceof Text text) {
      return TextMethods.repeat(text, times);
    }
    if (value instanceof List<?> list) {
      if (times > 0 && list.size() > RenderLimits.MOST_STEPS / times) {
        throw new TemplateException("the list grows beyond 10 million elements");
      }
      List<Object> repeated = new ArrayList<>();
      for (long i = 0; i < times && !list.isEmpty(); i++) {
        repeated.addAll(list);
      }
      return repeated;
    }
    throw unsupported("*", value, times);
  }

  private static Object wholes(String operator, long a, long b) {
    return switch (operator) {
      case "+" -> Math.addExact(a, b);
      case "-" -> Math.subtractExact(a, b);
      case "*" -> Math.multiplyExact(a, b);
      case "/" -> (double) a / nonZero(b);
      case "//" -> Math.floorDivExact(a, nonZero(b));
      case "%" -> Math.floorMod(a, nonZero(b));
      default -> b < 0 ? (Object) Math.pow(a, b) : power(a, b);
    };
  }

  private static long nonZero(long divisor) {
    if (divisor == 0) {
      throw new TemplateException("division by zero");
    }
    return divisor;
  }

  private static long power(long base, long exponent) {
    if (base == 0 || base == 1) {
      return exponent == 0 ? 1 : base;
    }
    if (base == -1) {
      return exponent % 2 == 0 ? 1 : -1;
    }
    long power = 1;
    for (long i = 0; i < exponent; i++) { // overflows soon
      power = Math.multiplyExact(power, base);
    }
    return power;
  }

  private static double reals(String operator, double a, double b) {
    if (b == 0 && (operator.equals("/") || operator.equals("//") || operator.equals("%"))) {
      throw new TemplateException("division by zero");
    }
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "/" -> a / b;
      case "//" -> Math.floor(a / b);
      case "%" -> a - b * Math.floor(a / b);
      default -> Math.pow(a, b);
    };
  }
}

package panamoe.conversation.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/**
 * The values of templates, which are Python's: {@link None}, {@link Undefined}, Boolean, Long (and
 * BigInteger, which JSON may hold, and which can only be printed and compared), Double, {@link
 * Text}, List, {@link Tuple}, Map with its order, {@link NamespaceObject}, {@link Function}, {@link
 * Loop}.
 */
final class JinjaValues {
  private JinjaValues() {}

  /** A JSON value; its texts are given ones. */
  static Object of(JsonNode json) {
    return switch (json.getNodeType()) {
      case OBJECT -> {
        Map<Object, Object> map = new LinkedHashMap<>();
        json.properties()
            .forEach(entry -> map.put(Text.given(entry.getKey()), of(entry.getValue())));
        yield map;
      }
      case ARRAY -> {
        List<Object> list = new ArrayList<>();
        json.forEach(element -> list.add(of(element)));
        yield list;
      }
      case STRING -> Text.given(json.stringValue());
      case BOOLEAN -> json.booleanValue();
      case NUMBER -> {
        if (!json.isIntegralNumber()) {
          yield json.doubleValue();
        }
        yield json.canConvertToLong() ? (Object) json.longValue() : json.bigIntegerValue();
      }
      default -> None.NONE;
    };
  }

  /**
   * @param value null: an argument that was not given
   */
  static boolean truth(Object value) {
    return switch (value) {
      case null -> false;
      case None _, Undefined _ -> false;
      case Boolean bool -> bool;
      case Long number -> number != 0;
      case Double number -> number != 0;
      case Text text -> !text.isEmpty();
      case List<?> list -> !list.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      default -> true;
    };
  }

  /** A type's name in Python, for messages. */
  static String type(Object value) {
    return switch (value) {
      case None _ -> "NoneType";
      case Undefined _ -> "Undefined";
      case Boolean _ -> "bool";
      case Long _, BigInteger _ -> "int";
      case Double _ -> "float";
      case Text _ -> "str";
      case Tuple _ -> "tuple";
      case List<?> _ -> "list";
      case Map<?, ?> _ -> "dict";
      case NamespaceObject _ -> "Namespace";
      default -> "function";
    };
  }

  /** Whether two values are equal, as 1, 1.0 and true are. */
  static boolean equal(Object a, Object b, RenderLimits budget) {
    return equal(a, b, budget, 0);
  }

  private static boolean equal(Object a, Object b, RenderLimits budget, int depth) {
    budget.spend(1);
    if (depth > RenderLimits.MOST_NESTED) {
      throw new TemplateException("the values are nested too deep to compare them");
    }
    if (isNumber(a) && isNumber(b)) {
      return compareNumbers(a, b) == 0;
    }
    if (a instanceof Text left && b instanceof Text right && left.length() == right.length()) {
      budget.spendOn(left);
    }
    if (a instanceof List<?> left && b instanceof List<?> right) {
      return left.size() == right.size()
          && a instanceof Tuple == b instanceof Tuple
          && IntStream.range(0, left.size())
              .allMatch(i -> equal(left.get(i), right.get(i), budget, depth + 1));
    }
    if (a instanceof Map<?, ?> left && b instanceof Map<?, ?> right) {
      return left.size() == right.size()
          && left.keySet().stream()
              .allMatch(
                  key ->
                      right.containsKey(key)
                          && equal(left.get(key), right.get(key), budget, depth + 1));
    }
    if (a instanceof Text left && b instanceof Text right) {
      return left.equals(right);
    }
    return a == b || a instanceof Undefined && b instanceof Undefined;
  }

  static boolean isNumber(Object value) {
    return value instanceof Number || value instanceof Boolean;
  }

  /**
   * The order of two values.
   *
   * @throws TemplateException if they have none
   */
  static int compare(Object a, Object b, RenderLimits budget) {
    if (isNumber(a) && isNumber(b)) {
      return compareNumbers(a, b);
    }
    if (a instanceof Text left && b instanceof Text right) {
      budget.spendOn(left.length() < right.length() ? left : right);
      return left.compareTo(right);
    }
    if (a instanceof List<?> left && b instanceof List<?> right) {
      for (int i = 0; i < Math.min(left.size(), right.size()); i++) {
        if (left.get(i) instanceof List<?> || right.get(i) instanceof List<?>) {
          throw new TemplateException("lists of lists have no order");
        }
        int order = compare(left.get(i), right.get(i), budget);
        if (order != 0) {
          return order;
        }
      }
      return Integer.compare(left.size(), right.size());
    }
    requireDefined(a);
    requireDefined(b);
    throw new TemplateException("%s and %s have no order", type(a), type(b));
  }

  private static int compareNumbers(Object a, Object b) {
    if (a instanceof Double || b instanceof Double) {
      double left = real(a);
      double right = real(b);
      return left == right ? 0 : left < right ? -1 : 1; // NaN is equal to nothing
    }
    return big(a).compareTo(big(b));
  }

  private static BigInteger big(Object value) {
    return value instanceof BigInteger big ? big : BigInteger.valueOf(whole(value));
  }

  static double real(Object value) {
    return switch (value) {
      case Boolean bool -> bool ? 1 : 0;
      case Number number -> number.doubleValue();
      default -> throw expected("a number", value);
    };
  }

  /** A number as a Long or a Double. */
  static Object number(Object value) {
    return value instanceof Long || value instanceof Boolean
        ? (Object) whole(value)
        : (Object) real(value);
  }

  /** A whole number. */
  static long whole(Object value) {
    return switch (value) {
      case Boolean bool -> bool ? 1 : 0;
      case Long number -> number;
      case BigInteger _ -> throw new TemplateException("a number is beyond 64 bits");
      default -> throw expected("a whole number", value);
    };
  }

  /** A whole number that is a place or a count; beyond 32 bits the nearest there. */
  static int count(Object value) {
    return Math.clamp(whole(value), Integer.MIN_VALUE, Integer.MAX_VALUE);
  }

  /** A text that is required to be one. */
  static Text text(Object value) {
    if (value instanceof Text text) {
      return text;
    }
    throw expected("a string", value);
  }

  private static TemplateException expected(String what, Object value) {
    requireDefined(value);
    return new TemplateException("%s was expected, not %s", what, type(value));
  }

  /** Refuses what is undefined, with the reason why it is. */
  static void requireDefined(Object value) {
    if (value instanceof Undefined undefined) {
      throw undefined.error();
    }
  }

  /** The elements of a value: of a mapping its keys, of a text its characters. */
  static List<Object> elements(Object value, RenderLimits budget) {
    switch (value) {
      case Undefined _ -> {
        return List.of();
      }
      case List<?> list -> {
        @SuppressWarnings("unchecked") // lists of templates hold all values
        List<Object> elements = (List<Object>) list;
        return elements;
      }
      case Map<?, ?> map -> {
        budget.spend(map.size());
        return new ArrayList<>(map.keySet());
      }
      case Text text -> {
        budget.spendOnTexts(text.length());
        List<Object> characters = new ArrayList<>();
        for (int at = 0; at < text.length(); ) {
          int next = at + Character.charCount(text.chars().codePointAt(at));
          characters.add(text.slice(at, next));
          at = next;
        }
        return characters;
      }
      default -> throw new TemplateException("'" + type(value) + "' object is not iterable");
    }
  }

  /** The number of elements. */
  static long length(Object value) {
    return switch (value) {
      case Undefined _ -> 0;
      case Text text -> Chars.count(text);
      case List<?> list -> list.size();
      case Map<?, ?> map -> map.size();
      default -> throw new TemplateException("object of type '" + type(value) + "' has no len()");
    };
  }

  /** Whether a value may be a key of a mapping. */
  static boolean isKey(Object value) {
    return value instanceof Text || value instanceof None || isNumber(value);
  }

  /** A value that is required to be a key. */
  static Object key(Object value) {
    if (!isKey(value)) {
      throw new TemplateException(type(value) + " cannot be a key");
    }
    return value;
  }

  /** Whether {@code container} holds a value: a text a piece of it, a mapping a key. */
  static boolean contains(Object container, Object value, RenderLimits budget) {
    return switch (container) {
      case Undefined _ -> false;
      case Text text -> budget.find(text, text(value), 0) >= 0;
      case Map<?, ?> map -> {
        budget.spendOn(key(value));
        yield map.containsKey(value);
      }
      case List<?> list -> list.stream().anyMatch(each -> equal(each, value, budget));
      default ->
          throw new TemplateException("argument of type '" + type(container) + "' is not iterable");
    };
  }
}

package panamoe.harness.serve;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The fields of an object in a request. Each is asked for by name; {@link #requireNoOthers} refuses
 * those that nobody asked for. A field that is null counts as absent.
 */
final class Fields {
  private final ObjectNode object;
  private final String path;
  private final Set<String> left = new LinkedHashSet<>();

  Fields(ObjectNode object) {
    this(object, "");
  }

  private Fields(ObjectNode object, String path) {
    this.object = object;
    this.path = path;
    object.propertyNames().forEach(left::add);
  }

  /** A field's value; null if it is absent. */
  JsonNode take(String name) {
    left.remove(name);
    JsonNode value = object.get(name);
    return value == null || value.isNull() ? null : value;
  }

  /** The value of a field that must have one. */
  JsonNode required(String name) {
    JsonNode value = take(name);
    if (value == null) {
      throw missing(name);
    }
    return value;
  }

  /** All fields, also those that have been taken. */
  List<String> names() {
    return object.properties().stream().map(Map.Entry::getKey).toList();
  }

  /** A name that a client has chosen, for messages. */
  static String shown(String name) {
    return name.length() > 64 ? name.substring(0, 64) + "..." : name;
  }

  /** A field's path from the request, for messages. */
  String path(String name) {
    return path + name;
  }

  ApiError wrong(String name, String what) {
    return ApiError.invalid(path(name) + " " + what, path(name));
  }

  /**
   * @param pattern of what is wrong with a field where this does not hold, by {@link Words#of}
   */
  void require(boolean holds, String name, String pattern, Object... values) {
    if (!holds) {
      throw wrong(name, Words.of(pattern, values));
    }
  }

  /** Of a field that must have a value. */
  ApiError missing(String name) {
    return wrong(name, object.has(name) ? "is null" : "is missing");
  }

  String text(String name, String otherwise) {
    JsonNode value = take(name);
    require(value == null || value.isString(), name, "is not a string");
    return value == null ? otherwise : value.stringValue();
  }

  boolean flag(String name) {
    JsonNode value = take(name);
    require(value == null || value.isBoolean(), name, "is not true or false");
    return value != null && value.booleanValue();
  }

  /** Infinite if it is beyond all doubles. */
  private double number(String name, double otherwise) {
    JsonNode value = take(name);
    require(value == null || value.isNumber(), name, "is not a number");
    return value == null ? otherwise : value.doubleValue();
  }

  double number(String name, double otherwise, int least, int most) {
    double value = number(name, otherwise);
    require(value >= least && value <= most, name, "is %s, expected %s to %s", value, least, most);
    return value;
  }

  double positive(String name, double otherwise, int most) {
    double value = number(name, otherwise);
    boolean holds = value > 0 && value <= most;
    require(holds, name, "is %s, expected more than 0 and at most %s", value, most);
    return value;
  }

  int integer(String name, int otherwise, int least, int most) {
    return (int) integer(name, (long) otherwise, least, most);
  }

  long integer(String name, long otherwise, long least, long most) {
    JsonNode value = take(name);
    if (value == null) {
      return otherwise;
    }
    require(value.isIntegralNumber(), name, "is not a whole number");
    if (!value.canConvertToLong() || value.longValue() < least || value.longValue() > most) {
      throw wrong(name, "is " + value + ", expected " + least + " to " + most);
    }
    return value.longValue();
  }

  /** The tokens of an array of them, each below {@code vocabulary}. */
  int[] tokens(String name, JsonNode array, int vocabulary) {
    require(array.isArray(), name, "is not an array of tokens");
    int[] tokens = new int[array.size()];
    for (int i = 0; i < tokens.length; i++) {
      JsonNode token = array.get(i);
      if (!token.isIntegralNumber() || !token.canConvertToInt() || token.intValue() < 0) {
        throw wrong(name, "is not an array of tokens: element " + i + " is none");
      }
      tokens[i] = requireToken(name, token.intValue(), vocabulary);
    }
    return tokens;
  }

  int requireToken(String name, int token, int vocabulary) {
    if (token >= vocabulary) { // without boxes: prompts are long
      throw wrong(name, "has token " + token + ", which is none of 0 to " + (vocabulary - 1));
    }
    return token;
  }

  /** The fields of an object in a field; null if it is absent. */
  Fields inner(String name) {
    JsonNode value = take(name);
    return value == null ? null : inner(name, value);
  }

  /** The fields of an object at {@code name}, which may be in an array there. */
  Fields inner(String name, JsonNode value) {
    if (value instanceof ObjectNode inner) {
      return new Fields(inner, path(name) + ".");
    }
    throw wrong(name, "is not an object");
  }

  /** Those of the named fields that are there, as they were given. */
  ObjectNode given(String... names) {
    ObjectNode given = JsonNodeFactory.instance.objectNode();
    for (String name : names) {
      if (object.has(name)) {
        given.set(name, object.get(name));
      }
    }
    return given;
  }

  /** Refuses a field, except for the value that asks for what is done without it. */
  void refuseExcept(String name, JsonNode harmless) {
    JsonNode value = take(name);
    if (value != null && !value.equals(harmless)) {
      throw ApiError.unsupported(
          path(name) + " is not supported, except as " + harmless, path(name));
    }
  }

  /** Leaves fields out that have no effect on a text. */
  void ignore(String... names) {
    for (String name : names) {
      left.remove(name);
    }
  }

  /** Refuses fields without which the answer would not be what was asked for. */
  void refuse(String... names) {
    for (String name : names) {
      JsonNode value = take(name);
      if (value != null && !(value.isContainer() && value.isEmpty())) {
        throw ApiError.unsupported(path(name) + " is not supported", path(name));
      }
    }
  }

  /**
   * @throws ApiError if there is a field that nobody asked for
   */
  void requireNoOthers() {
    for (String name : left) {
      if (!object.get(name).isNull()) {
        String path = path(shown(name));
        throw ApiError.unsupported("there is no field " + path, path);
      }
    }
  }
}

package panamoe.harness.serve.http;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import panamoe.io.Words;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The fields of an object in a request. Each is taken by name; {@link #requireNoOthers} refuses
 * those that were not taken. A null field counts as absent.
 */
public final class Fields {
  private final ObjectNode object;
  private final String path;
  private final Set<String> left = new LinkedHashSet<>();
  private final Map<String, String> own = new HashMap<>(); // what messages call a field

  public Fields(ObjectNode object) {
    this(object, "");
  }

  private Fields(ObjectNode object, String path) {
    this.object = object;
    this.path = path;
    object.propertyNames().forEach(left::add);
  }

  /** A field's value; null if it is absent. */
  public JsonNode take(String name) {
    left.remove(name);
    JsonNode value = object.get(name);
    return value == null || value.isNull() ? null : value;
  }

  /**
   * Reads a field by its name in chat completions from now on. Messages keep its own name.
   *
   * @throws ApiError if the request also has a field of that name
   */
  public void rename(String field, String name) {
    translate(field, name, object.get(field));
  }

  /**
   * Adds a field of chat completions that stands for a field of another API.
   *
   * @param field its name in messages
   * @throws ApiError if the request also has a field of that name
   */
  public void translate(String field, String name, JsonNode value) {
    if (object.has(name) && !field.equals(name)) {
      throw noField(name);
    }
    left.remove(field);
    if (value != null) {
      object.set(name, value);
    }
    own.put(name, field);
  }

  /** The value of a required field. */
  public JsonNode required(String name) {
    JsonNode value = take(name);
    if (value == null) {
      throw missing(name);
    }
    return value;
  }

  /** The names of all fields, also of taken ones. */
  public List<String> names() {
    return object.properties().stream().map(Map.Entry::getKey).toList();
  }

  /** A name from a client, for messages. */
  public static String shown(String name) {
    return name.length() > 64 ? name.substring(0, 64) + "..." : name;
  }

  /** A field's path from the request, for messages. */
  public String path(String name) {
    return path + own.getOrDefault(name, name);
  }

  public ApiError wrong(String name, String what) {
    return ApiError.invalid(path(name) + " " + what, path(name));
  }

  /** The error of a field whose value this server does not have. */
  public ApiError unsupported(String name, String value, String expected) {
    return ApiError.unsupported(
        Words.of("%s is %s, expected %s", path(name), shown(value), expected), path(name));
  }

  /**
   * @param pattern of the message if the condition does not hold, by {@link Words#of}
   */
  public void require(boolean holds, String name, String pattern, Object... values) {
    if (!holds) {
      throw wrong(name, Words.of(pattern, values));
    }
  }

  /** The error of a missing field. */
  public ApiError missing(String name) {
    return wrong(name, object.has(name) ? "is null" : "is missing");
  }

  public String text(String name, String otherwise) {
    JsonNode value = take(name);
    require(value == null || value.isString(), name, "is not a string");
    return value == null ? otherwise : value.stringValue();
  }

  public boolean flag(String name) {
    JsonNode value = take(name);
    require(value == null || value.isBoolean(), name, "is not true or false");
    return value != null && value.booleanValue();
  }

  /** Infinite beyond the range of doubles. */
  private double number(String name, double otherwise) {
    JsonNode value = take(name);
    require(value == null || value.isNumber(), name, "is not a number");
    return value == null ? otherwise : value.doubleValue();
  }

  public double number(String name, double otherwise, int least, int most) {
    double value = number(name, otherwise);
    require(value >= least && value <= most, name, "is %s, expected %s to %s", value, least, most);
    return value;
  }

  public double positive(String name, double otherwise, int most) {
    double value = number(name, otherwise);
    boolean holds = value > 0 && value <= most;
    require(holds, name, "is %s, expected more than 0 and at most %s", value, most);
    return value;
  }

  public int integer(String name, int otherwise, int least, int most) {
    return (int) integer(name, (long) otherwise, least, most);
  }

  public long integer(String name, long otherwise, long least, long most) {
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

  /** The tokens of an array, each below {@code vocabulary}. */
  public int[] tokens(String name, JsonNode array, int vocabulary) {
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

  public int requireToken(String name, int token, int vocabulary) {
    if (token >= vocabulary) { // without boxing: prompts are long
      throw wrong(name, "has token " + token + ", which is none of 0 to " + (vocabulary - 1));
    }
    return token;
  }

  /** The fields of an object field; null if it is absent. */
  public Fields inner(String name) {
    JsonNode value = take(name);
    return value == null ? null : inner(name, value);
  }

  /** The fields of an object at {@code name}, possibly within an array. */
  public Fields inner(String name, JsonNode value) {
    if (value instanceof ObjectNode inner) {
      return new Fields(inner, path(name) + ".");
    }
    throw wrong(name, "is not an object");
  }

  /** The present ones of the named fields, as given. */
  public ObjectNode given(String... names) {
    ObjectNode given = JsonNodeFactory.instance.objectNode();
    for (String name : names) {
      if (object.has(name)) {
        given.set(name, object.get(name));
      }
    }
    return given;
  }

  /** Refuses a field, except for the value that means the default. */
  public void refuseExcept(String name, JsonNode harmless) {
    JsonNode value = take(name);
    if (value != null && !value.equals(harmless)) {
      throw ApiError.unsupported(
          path(name) + " is not supported, except as " + harmless, path(name));
    }
  }

  /** Drops fields that have no effect on a completion. */
  public void ignore(String... names) {
    for (String name : names) {
      left.remove(name);
    }
  }

  /** Refuses fields that cannot be ignored without changing the result. */
  public void refuse(String... names) {
    for (String name : names) {
      JsonNode value = take(name);
      if (value != null && !(value.isContainer() && value.isEmpty())) {
        throw ApiError.unsupported(path(name) + " is not supported", path(name));
      }
    }
  }

  /**
   * @throws ApiError if a field was not taken
   */
  public void requireNoOthers() {
    for (String name : left) {
      if (!object.get(name).isNull()) {
        throw noField(name);
      }
    }
  }

  private ApiError noField(String name) {
    String path = path(shown(name));
    return ApiError.unsupported("there is no field " + path, path);
  }
}

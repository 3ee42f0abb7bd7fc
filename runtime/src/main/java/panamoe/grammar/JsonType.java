package panamoe.grammar;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The types of JSON Schema, by name. */
public final class JsonType {
  /** The types of a schema without {@code type}; integers are numbers. */
  static final Set<String> ALL =
      new LinkedHashSet<>(List.of("null", "boolean", "number", "string", "array", "object"));

  private JsonType() {}

  /** The types that a schema's {@code type} names. */
  static Set<String> of(Schema schema) {
    JsonNode types = schema.get("type");
    Set<String> names = new LinkedHashSet<>();
    for (JsonNode type : types.isArray() ? schema.list("type").node() : List.of(types)) {
      String name = type.isString() ? type.stringValue() : "";
      if (!ALL.contains(name) && !name.equals("integer")) {
        throw schema.refuse(
            "type",
            "has "
                + Schema.shown(type.toString())
                + ", expected null, boolean, integer, number, string, array or object");
      }
      names.add(name);
    }
    return names;
  }

  /**
   * The types of the values that a part of a schema allows; all where it does not say.
   *
   * @param root the schema, for references
   */
  public static Set<String> allowed(JsonNode root, JsonNode part) {
    Set<String> types = new LinkedHashSet<>();
    add(types, root, part, new HashSet<>());
    return types;
  }

  private static void add(Set<String> types, JsonNode root, JsonNode part, Set<String> followed) {
    String place = part.path("$ref").asString("");
    List<JsonNode> values = new ArrayList<>(part.path("enum").valueStream().toList());
    List<JsonNode> parts = new ArrayList<>();
    List.of("anyOf", "oneOf", "allOf")
        .forEach(each -> parts.addAll(part.path(each).valueStream().toList()));
    if (part.has("const")) {
      values.add(part.get("const"));
    }
    if (!place.isEmpty()) {
      if (followed.add(place)) {
        add(types, root, Schema.at(root, place).node(), followed);
      }
    } else if (!parts.isEmpty()) {
      parts.forEach(each -> add(types, root, each, followed));
    } else if (!values.isEmpty()) {
      values.forEach(
          value -> ALL.stream().filter(type -> isOne(value, Set.of(type))).forEach(types::add));
    } else {
      types.addAll(part.has("type") ? of(new Schema(part, "#")) : ALL);
    }
    if (part.path("nullable").asBoolean(false)) {
      types.add("null");
    }
  }

  /** Whether a value is of one of the types. */
  public static boolean isOne(JsonNode value, Set<String> types) {
    return switch (value.getNodeType()) {
      case NULL -> types.contains("null");
      case BOOLEAN -> types.contains("boolean");
      case NUMBER -> types.contains("number") || types.contains("integer") && isInteger(value);
      case STRING -> types.contains("string");
      case ARRAY -> types.contains("array");
      default -> types.contains("object");
    };
  }

  private static boolean isInteger(JsonNode value) {
    return value.isIntegralNumber() || value.decimalValue().stripTrailingZeros().scale() <= 0;
  }
}

package panamoe.grammar;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** The types of JSON Schema, by name. */
final class JsonType {
  /** Of values without a type: integers are numbers. */
  static final Set<String> ALL =
      new LinkedHashSet<>(List.of("null", "boolean", "number", "string", "array", "object"));

  private JsonType() {}

  /** The types of a schema that has some. */
  static Set<String> of(Schema schema) {
    JsonNode types = schema.get("type");
    Set<String> names = new LinkedHashSet<>();
    for (JsonNode type : types.isString() ? List.of(types) : schema.list("type").node()) {
      String name = type.isString() ? type.stringValue() : "";
      if (!ALL.contains(name) && !name.equals("integer")) {
        throw schema.refuse(
            "type", "has " + Schema.shown(type.toString()) + ", which is not a type");
      }
      names.add(name);
    }
    return names;
  }

  /** Whether a value is of one of the types. */
  static boolean isOne(JsonNode value, Set<String> types) {
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

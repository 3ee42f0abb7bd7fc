package panamoe.grammar;

import java.util.Random;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Schemas of every supported keyword that is JSON Schema's own, at random. */
final class RandomSchemas {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final String[] KEYS = {"a", "ab", "b", "key 1", "é\"\\", "", "v"};
  private static final String[] PATTERNS = {
    "^[a-c]{2,4}$", "b", "^(ab|c)*$", "[0-9]$", "^.?é", "^\\w+-\\d{3}$", "^[^\"]*$"
  };
  private static final String[] TYPES = {
    "null", "boolean", "integer", "number", "string", "array", "object"
  };

  private final Random random;

  RandomSchemas(Random random) {
    this.random = random;
  }

  /** A schema, which may allow nothing. */
  ObjectNode next() {
    ObjectNode schema = object(3);
    ObjectNode definitions = schema.putObject("$defs");
    definitions.set("d0", schema(1));
    definitions.set("d1", typed(2));
    return schema;
  }

  private JsonNode schema(int depth) {
    return switch (random.nextInt(12)) {
      case 0 -> BooleanNode.valueOf(random.nextInt(4) > 0);
      case 1 -> NODES.objectNode();
      case 2 -> NODES.objectNode().put("$ref", "#/$defs/d" + random.nextInt(2));
      case 3 -> NODES.objectNode().put("$ref", "#");
      default -> typed(depth);
    };
  }

  private ObjectNode typed(int depth) {
    ObjectNode schema = NODES.objectNode();
    int kind = random.nextInt(depth > 0 ? 9 : 6);
    switch (kind) {
      case 0 -> {
        ArrayNode values = schema.putArray("enum");
        for (int i = random.nextInt(1, 5); i > 0; i--) {
          values.add(value(2));
        }
        if (random.nextInt(3) == 0) {
          schema.putArray("type").add("string").add("integer").add("object");
        }
      }
      case 1 -> schema.set("const", value(2));
      case 2 -> string(schema.put("type", "string"));
      case 3 -> number(schema.put("type", random.nextBoolean() ? "integer" : "number"));
      case 4 -> schema.put("type", TYPES[random.nextInt(2)]);
      case 5 -> {
        ArrayNode types = schema.putArray("type");
        types.add(TYPES[random.nextInt(4)]).add(TYPES[random.nextInt(4, TYPES.length)]);
        string(number(schema));
      }
      case 6 -> {
        ArrayNode alternatives = schema.putArray("anyOf");
        for (int i = random.nextInt(1, 4); i > 0; i--) {
          alternatives.add(schema(depth - 1));
        }
      }
      case 7 -> array(schema.put("type", "array"), depth - 1);
      default -> {
        return object(depth - 1);
      }
    }
    return schema.put("description", "of kind " + kind);
  }

  private ObjectNode object(int depth) {
    ObjectNode schema = NODES.objectNode().put("type", "object");
    ObjectNode properties = schema.putObject("properties");
    ArrayNode required = NODES.arrayNode();
    for (String key : KEYS) {
      if (random.nextInt(3) == 0) {
        properties.set(key, schema(depth));
      }
      if (random.nextInt(8) == 0) {
        required.add(key);
      }
    }
    if (!required.isEmpty()) {
      schema.set("required", required);
    }
    switch (random.nextInt(4)) {
      case 0 -> schema.set("additionalProperties", schema(depth));
      case 1 -> schema.put("maximum", 3);
      default -> schema.put("additionalProperties", false);
    }
    return schema;
  }

  private void array(ObjectNode schema, int depth) {
    if (random.nextInt(3) == 0) {
      ArrayNode first = schema.putArray("prefixItems");
      for (int i = random.nextInt(1, 3); i > 0; i--) {
        first.add(schema(depth));
      }
    }
    if (random.nextInt(3) > 0) {
      schema.set("items", schema(depth));
    }
    int min = random.nextInt(3);
    if (random.nextBoolean()) {
      schema.put("minItems", min);
    }
    if (random.nextBoolean()) {
      schema.put("maxItems", min + random.nextInt(3));
    }
  }

  private void string(ObjectNode schema) {
    int min = random.nextInt(3);
    if (random.nextInt(3) == 0) {
      schema.put("minLength", min);
    }
    if (random.nextInt(3) == 0) {
      schema.put("maxLength", min + random.nextInt(12));
    }
    if (random.nextInt(3) == 0) {
      schema.put("pattern", PATTERNS[random.nextInt(PATTERNS.length)]);
    }
  }

  private ObjectNode number(ObjectNode schema) {
    int low = random.nextInt(-200, 200);
    if (random.nextInt(3) == 0) {
      schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", low);
    }
    if (random.nextInt(3) == 0) {
      schema.put(random.nextBoolean() ? "maximum" : "exclusiveMaximum", low + random.nextInt(500));
    }
    return schema;
  }

  private JsonNode value(int depth) {
    return switch (random.nextInt(depth > 0 ? 7 : 5)) {
      case 0 -> NODES.nullNode();
      case 1 -> NODES.booleanNode(random.nextBoolean());
      case 2 -> NODES.numberNode(random.nextInt(-30, 30));
      case 3 -> NODES.numberNode(random.nextInt(-30, 30) / 4.0);
      case 4 -> NODES.stringNode(KEYS[random.nextInt(KEYS.length)]);
      case 5 -> NODES.arrayNode().add(value(depth - 1)).add(value(depth - 1));
      default ->
          NODES.objectNode().<ObjectNode>set(KEYS[random.nextInt(KEYS.length)], value(depth - 1));
    };
  }
}

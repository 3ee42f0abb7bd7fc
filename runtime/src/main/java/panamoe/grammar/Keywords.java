package panamoe.grammar;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The keywords of a schema: supported, ignored and refused ones. */
final class Keywords {
  /** Keywords without influence on validity. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          """
          $schema $id $comment $defs definitions title description default examples example
          deprecated readOnly writeOnly nullable"""
              .split("\\s+"));

  /** Each of these excludes all other keywords, except {@code type} with the last two. */
  private static final List<String> ALONE =
      List.of("$ref", "anyOf", "oneOf", "allOf", "const", "enum");

  private static final Set<String> VALUES = Set.of("const", "enum");

  private static final Set<String> OTHERS =
      Set.of(
          """
          type properties required additionalProperties items prefixItems minItems maxItems
          minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum"""
              .split("\\s+"));

  /** Keywords that are supported with this one value only. */
  private static final Map<String, String> WITHOUT_EFFECT =
      Map.of("uniqueItems", "false", "minProperties", "0", "minContains", "0");

  private Keywords() {}

  /**
   * The exclusive keyword of a schema; null if {@code type} decides.
   *
   * @throws IllegalArgumentException if a keyword is not supported, or not in this combination
   */
  static String check(Schema schema) {
    Set<String> said = new TreeSet<>(schema.node().propertyNames());
    said.removeAll(ANNOTATIONS);
    WITHOUT_EFFECT.forEach(
        (keyword, value) -> {
          if (value.equals(schema.node().path(keyword).toString())) {
            said.remove(keyword);
          }
        });
    for (String keyword : said) {
      if (!OTHERS.contains(keyword) && !ALONE.contains(keyword)) {
        throw schema.refuse(keyword, "is not supported");
      }
    }
    String alone = ALONE.stream().filter(said::contains).findFirst().orElse(null);
    if (alone != null) {
      boolean values = VALUES.contains(alone);
      Predicate<String> fits = one -> one.equals(alone) || values && one.equals("type");
      said.removeIf(fits);
      if (!said.isEmpty()) {
        throw schema.refuse(
            said.iterator().next(), "with \"" + alone + "\" is not supported: join them");
      }
    }
    return alone;
  }

  /** Keeps what is supported, at all depths. Whatever the schema allows, the result allows. */
  static JsonNode followable(JsonNode schema) {
    if (!(schema instanceof ObjectNode)) {
      return schema;
    }
    ObjectNode kept = JsonNodeFactory.instance.objectNode();
    schema.forEachEntry(
        (keyword, value) -> {
          if (isFollowable(keyword, value)) {
            kept.set(keyword, inside(keyword, value));
          }
        });
    if (schema.has("patternProperties")) {
      kept.remove("additionalProperties"); // which are only those that no pattern names
    }
    if (kept.has("properties")) {
      kept.remove(ALONE);
    }
    ALONE.stream()
        .filter(kept::has)
        .findFirst()
        .ifPresent(
            alone ->
                kept.properties()
                    .removeIf(
                        each ->
                            !each.getKey().equals(alone)
                                && !ANNOTATIONS.contains(each.getKey())
                                && !(VALUES.contains(alone) && each.getKey().equals("type"))));
    if (kept.has("pattern")) {
      kept.remove("format");
    }
    return kept;
  }

  private static boolean isFollowable(String keyword, JsonNode value) {
    return switch (keyword) {
      case "format" ->
          StringRules.knows(value.asString(""))
              || NumberRules.knows(value.asString(""), JsonType.ALL);
      case "allOf" -> value.size() == 1;
      case "items" -> !value.isArray();
      default ->
          ANNOTATIONS.contains(keyword)
              || ALONE.contains(keyword)
              || OTHERS.contains(keyword) && !value.isNull();
    };
  }

  private static JsonNode inside(String keyword, JsonNode value) {
    return switch (keyword) {
      case "properties", "$defs", "definitions" -> {
        ObjectNode each = JsonNodeFactory.instance.objectNode();
        value.forEachEntry((name, schema) -> each.set(name, followable(schema)));
        yield value.isObject() ? each : value;
      }
      case "anyOf", "oneOf", "allOf", "prefixItems" -> {
        ArrayNode each = JsonNodeFactory.instance.arrayNode();
        value.forEach(schema -> each.add(followable(schema)));
        yield value.isArray() ? each : value;
      }
      case "items", "additionalProperties" -> followable(value);
      default -> value;
    };
  }
}

package panamoe.grammar;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.function.Supplier;
import panamoe.io.Require;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

/** Reads a JSON schema as a rule. Referenced parts are read once, after what refers to them. */
final class SchemaReader {
  private static final int MAX_DEPTH = 64;
  private static final int MAX_SCHEMAS = 5000;
  private static final int MAX_PROPERTIES = 500;
  private static final int MAX_KEY = 500;
  private static final int MAX_ENUM_BYTES = 1 << 20;

  private final JsonNode root;
  private final Map<String, Rule.Reference> references = new LinkedHashMap<>();
  private final Deque<Rule.Reference> unread = new ArrayDeque<>();
  private final SchemaLimits budget;

  /** Rules by their parts, so that equal parts of a schema share a rule. */
  private final Map<List<?>, Rule> made = new HashMap<>();

  private int schemas;
  private int enumBytes;

  private SchemaReader(JsonNode root, SchemaLimits budget) {
    this.root = root;
    this.budget = budget;
  }

  /**
   * The rule of the output that a schema allows.
   *
   * @throws IllegalArgumentException if it is malformed, not supported, unsatisfiable, or exceeds
   *     the budget
   */
  static Rule rule(JsonNode schema, SchemaLimits budget) {
    SchemaReader reader = new SchemaReader(schema, budget);
    Rule rule = reader.reference(new Schema(schema, "#"), "#");
    reader.readReferences();
    return rule;
  }

  /** Like {@link #rule}, for an object whose members are elements. Only named ones are allowed. */
  static Rule elements(JsonNode schema, Elements written, SchemaLimits budget) {
    SchemaReader reader = new SchemaReader(schema, budget);
    Rule.Reference whole = new Rule.Reference("#");
    reader.references.put("", whole);
    Keywords.check(new Schema(schema, whole.place));
    whole.target = reader.object(new Schema(schema, whole.place), 0, written);
    reader.readReferences();
    return whole;
  }

  private void readReferences() {
    while (!unread.isEmpty()) {
      Rule.Reference reference = unread.remove();
      reference.target = read(at(reference.place), 0);
    }
    Endings.check(references.values(), budget);
  }

  /** The rule with these parts, created once. */
  private Rule once(List<?> of, Supplier<Rule> make) {
    return made.computeIfAbsent(of, key -> make.get());
  }

  private Rule choice(List<Rule> rules) {
    List<Rule> different = rules.stream().distinct().toList();
    return once(different, () -> Rules.choice(different));
  }

  /** A type with the values of some keywords. */
  private static List<Object> said(Schema schema, String type, List<String> keywords) {
    List<Object> said = new ArrayList<>(List.of(type));
    keywords.forEach(keyword -> said.add(schema.get(keyword)));
    return said;
  }

  private Rule read(Schema schema, int depth) {
    budget.spend(1);
    Require.that(++schemas <= MAX_SCHEMAS, "the schema has more than %s parts", MAX_SCHEMAS);
    if (depth > MAX_DEPTH) {
      throw schema.refuse("is nested more than " + MAX_DEPTH + " deep");
    }
    if (schema.node().isBoolean()) {
      return schema.node().booleanValue() ? JsonRules.VALUE : Rule.NEVER;
    }
    if (!schema.node().isObject()) {
      throw schema.refuse("is neither an object nor true or false");
    }
    String alone = Keywords.check(schema);
    Rule rule =
        switch (alone) {
          case null -> ofTypes(schema, depth);
          case "$ref" -> reference(schema, schema.text("$ref"));
          case "const" -> values(schema, alone, List.of(schema.get(alone)));
          case "enum" -> values(schema, alone, schema.list(alone).node());
          default -> anyOf(schema, alone, depth);
        };
    boolean nullable = schema.flag("nullable", false);
    return nullable ? choice(List.of(rule, JsonRules.NULL)) : rule;
  }

  /** One of several schemas; {@code allOf} with a single schema too. */
  private Rule anyOf(Schema schema, String keyword, int depth) {
    Schema list = schema.list(keyword);
    if (keyword.equals("allOf") && list.node().size() > 1) {
      throw schema.refuse(keyword, "of several schemas is not supported: join them");
    }
    List<Rule> rules = new ArrayList<>();
    for (int i = 0; i < list.node().size(); i++) {
      rules.add(read(list.child(i), depth + 1));
    }
    return choice(rules);
  }

  /** The rule of a member's value; with its end if it is an element. */
  private Rule member(Schema schema, int depth, Elements written) {
    Rule json = read(schema, depth);
    if (written == null || json == Rule.NEVER) {
      return json;
    }
    Set<String> types = JsonType.allowed(root, schema.node());
    if (!types.contains("string")) {
      return written.value(json);
    }
    return types.size() > 1 ? written.text() : text(schema, depth, written);
  }

  /** The rule of an element with a string, which is not quoted. */
  private Rule text(Schema schema, int depth, Elements written) {
    budget.spend(1);
    if (depth > MAX_DEPTH) {
      throw schema.refuse("is nested more than " + MAX_DEPTH + " deep");
    }
    String alone = Keywords.check(schema);
    return switch (alone) {
      case null ->
          StringRules.KEYWORDS.stream().noneMatch(schema::has)
              ? written.text()
              : written.text(StringRules.text(schema, budget, written.textEnd()));
      case "$ref" -> text(at(schema.text(alone)), depth + 1, written);
      case "const", "enum" -> {
        JsonNode values = schema.get(alone);
        yield written.texts(alone.equals("const") ? List.of(values) : values);
      }
      default -> {
        Schema list = schema.list(alone);
        List<Rule> rules = new ArrayList<>();
        for (int i = 0; i < list.node().size(); i++) {
          rules.add(text(list.child(i), depth + 1, written));
        }
        yield choice(rules);
      }
    };
  }

  private Rule values(Schema schema, String keyword, Iterable<JsonNode> values) {
    Set<String> types = schema.has("type") ? JsonType.of(schema) : JsonType.ALL;
    SortedMap<byte[], Rule> words = WordList.map();
    for (JsonNode value : values) {
      if (JsonType.isOne(value, types)) {
        byte[] json = schema.json(value, keyword);
        enumBytes += json.length;
        words.put(json, Rule.EMPTY);
      }
      if (enumBytes > MAX_ENUM_BYTES) {
        throw schema.refuse(keyword, "brings the values to more than " + MAX_ENUM_BYTES + " bytes");
      }
    }
    List<?> of = List.of("values", words.keySet().stream().map(ByteBuffer::wrap).toList());
    return once(of, () -> WordList.rule(words));
  }

  private Rule ofTypes(Schema schema, int depth) {
    Set<String> types = schema.has("type") ? JsonType.of(schema) : JsonType.ALL;
    String format = schema.has("format") ? schema.text("format") : null;
    if (format != null && !StringRules.knows(format) && !NumberRules.knows(format, types)) {
      throw schema.refuse("format", "\"" + Schema.shown(format) + "\" is not supported");
    }
    List<Rule> rules = new ArrayList<>();
    for (String type : types) {
      rules.add(
          switch (type) {
            case "null" -> JsonRules.NULL;
            case "boolean" -> JsonRules.BOOLEAN;
            case "integer" -> types.contains("number") ? Rule.NEVER : number(schema, type);
            case "number" -> number(schema, type);
            case "string" ->
                once(
                    said(schema, type, StringRules.KEYWORDS),
                    () -> StringRules.rule(schema, budget));
            case "array" -> array(schema, depth);
            default -> object(schema, depth, null);
          });
    }
    return choice(rules);
  }

  private Rule number(Schema schema, String type) {
    return once(
        said(schema, type, NumberRules.KEYWORDS),
        () -> NumberRules.rule(schema, type.equals("integer")));
  }

  private Rule array(Schema schema, int depth) {
    List<Rule> first = new ArrayList<>();
    if (schema.has("prefixItems")) {
      Schema list = schema.list("prefixItems");
      for (int i = 0; i < list.node().size(); i++) {
        first.add(read(list.child(i), depth + 1));
      }
    }
    if (schema.has("items") && schema.get("items").isArray()) {
      throw schema.refuse("items", "is a list: write prefixItems");
    }
    Rule others = schema.has("items") ? read(schema.child("items"), depth + 1) : JsonRules.VALUE;
    int min = schema.count("minItems", 0);
    int max = schema.count("maxItems", Rule.Repeat.ENDLESS);
    return once(
        List.of("array", first, others, min, max), () -> JsonRules.array(first, others, min, max));
  }

  /**
   * The rule of an object.
   *
   * @param written how its members are written as elements; null for JSON
   */
  private Rule object(Schema schema, int depth, Elements written) {
    Rule others =
        schema.has("additionalProperties")
            ? member(schema.child("additionalProperties"), depth + 1, written)
            : written == null ? JsonRules.VALUE : written.text();
    Set<String> required = required(schema);
    List<ObjectRules.Member> members = new ArrayList<>();
    if (schema.has("properties")) {
      Schema properties = schema.child("properties");
      if (!properties.node().isObject()) {
        throw schema.refuse("properties", "is not an object");
      }
      properties
          .node()
          .propertyNames()
          .forEach(
              key -> {
                Rule value = member(properties.child(key), depth + 1, written);
                members.add(new ObjectRules.Member(key, value, required.remove(key)));
              });
    }
    required.forEach(key -> members.add(new ObjectRules.Member(key, others, true)));
    for (ObjectRules.Member member : members) {
      // Refuses a key that cannot be encoded.
      schema.json(StringNode.valueOf(member.key()), "properties");
      if (members.size() > MAX_PROPERTIES || member.key().length() > MAX_KEY) {
        throw schema.refuse(
            "has more than " + MAX_PROPERTIES + " properties, or keys over " + MAX_KEY + " long");
      }
    }
    try {
      return once(
          List.of("object", members, others),
          () ->
              written == null
                  ? new ObjectRules(JsonRules.OBJECT, members, others, budget).rule()
                  : new ObjectRules(written.marks(), members, Rule.NEVER, budget).rule());
    } catch (IllegalArgumentException e) {
      throw schema.refuse("has too many keys to distinguish others from: " + e.getMessage());
    }
  }

  private static Set<String> required(Schema schema) {
    Set<String> keys = new LinkedHashSet<>();
    JsonNode list = schema.get("required");
    if (list != null && !list.isArray()) {
      throw schema.refuse("required", "is not a list");
    }
    for (JsonNode key : list == null ? List.<JsonNode>of() : list) {
      if (!key.isString()) {
        throw schema.refuse("required", "has an entry that is no key");
      }
      keys.add(key.stringValue());
    }
    return keys;
  }

  private Rule reference(Schema from, String place) {
    Rule.Reference known = references.get(place);
    if (known == null) {
      if (!place.equals("#") && !place.startsWith("#/")) {
        throw from.refuse("$ref", "does not begin with #/, as a part of the same schema does");
      }
      if (at(place).node().isMissingNode()) {
        throw from.refuse("$ref", "leads to " + Schema.shown(place) + ", where nothing is");
      }
      known = new Rule.Reference(place);
      references.put(place, known);
      unread.add(known);
    }
    return known;
  }

  /** The part of the schema at a reference. */
  private Schema at(String place) {
    return Schema.at(root, place);
  }
}

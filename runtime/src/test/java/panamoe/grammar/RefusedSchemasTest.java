package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.TinyTokenizer;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What cannot be followed is refused in a sentence that names the keyword and its place. */
class RefusedSchemasTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "unevaluatedProperties",
        "unevaluatedItems",
        "additionalItems",
        "contains",
        "minContains",
        "uniqueItems",
        "multipleOf",
        "contentEncoding",
        "contentMediaType",
        "$anchor",
        "$dynamicRef",
        "discriminator",
        "strict"
      })
  void unknownKeywords(String keyword) {
    assertEquals(
        "the schema's \"" + keyword + "\" at #/properties/a~1b is not supported",
        refusal("{'type': 'object', 'properties': {'a/b': {'" + keyword + "': 3}}}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "3 | the schema at # is neither an object nor true or false",
        "false | the schema at # allows no text that comes to an end",
        "{'type': 'text'} | the schema's `type` at # has `text`, which is not a type",
        "{'type': []} | the schema's `type` at # is not a list with an entry",
        "{'enum': []} | the schema's `enum` at # is not a list with an entry",
        "{'type': 'null', 'enum': [1]} | the schema at # allows no text that comes to an end",
        "{'type': 'null', '$ref': '#'} | the schema's `type` at # beside `$ref` is not supported: join them",
        "{'enum': [1], 'minimum': 0} | the schema's `minimum` at # beside `enum` is not supported: join them",
        "{'anyOf': [{}], 'oneOf': [{}]} | the schema's `oneOf` at # beside `anyOf` is not supported: join them",
        "{'allOf': [{}, {}]} | the schema's `allOf` at # of several schemas is not supported: join them",
        "{'$ref': 'other.json'} | the schema's `$ref` at # does not begin with #/, as a part of the same schema does",
        "{'$ref': '#/$defs/a'} | the schema's `$ref` at # leads to #/$defs/a, where nothing is",
        "{'$ref': '#'} | the schema at # is itself, by references alone",
        "{'anyOf': [{'type': 'null'}, {'$ref': '#'}]} | the schema at # is itself, by references alone",
        "{'items': [{}]} | the schema's `items` at # is a list: write prefixItems",
        "{'minItems': -1} | the schema's `minItems` at # is not from 0 to 1000000",
        "{'maxItems': 1.5} | the schema's `maxItems` at # is not an integer",
        "{'maxLength': 9000000} | the schema's `maxLength` at # is not from 0 to 1000000",
        "{'minimum': 'a'} | the schema's `minimum` at # is not a number",
        "{'exclusiveMinimum': true} | the schema's `exclusiveMinimum` at # is not a number",
        "{'pattern': 3} | the schema's `pattern` at # is not a text",
        "{'pattern': '(?=a)'} | the schema's `pattern` at # cannot be followed: a group that begins with (?= is not supported (character 2)",
        "{'pattern': 'a.{1000}.*b.{900}', 'maxLength': 5000} | the schema's `pattern` at # cannot be followed: the automata of this schema are too large",
        "{'pattern': '((a{1,1000}){1,1000}){1,1000}'} | the schema's `pattern` at # cannot be followed: a repetition of more than 1000000 characters is not supported (character 29)",
        "{'pattern': '^(a{1,1000}){1,1000}$'} | the schema's `pattern` at # cannot be followed: the automata of this schema are too large",
        "{'pattern': '^(a{1000}){1000}$'} | the schema's `pattern` at # cannot be followed: the automata of this schema are too large",
        "{'format': 'email'} | the schema's `format` at # `email` is not supported",
        "{'format': 'date', 'pattern': 'a'} | the schema's `format` at # beside a pattern is not supported",
        "{'type': 'string', 'format': 'int32'} | the schema's `format` at # `int32` is not supported",
        "{'properties': []} | the schema's `properties` at # is not an object",
        "{'required': 'a'} | the schema's `required` at # is not a list",
        "{'required': [1]} | the schema's `required` at # has an entry that is no key",
        "{'nullable': 1} | the schema's `nullable` at # is not true or false",
        "{'const': '\\ud800'} | the schema's `const` at # has half of a surrogate pair",
        "{'minimum': 1e400} | the schema's `minimum` at # has a number beyond 64-bit floating point",
        "{'minItems': 1e400} | the schema's `minItems` at # has a number beyond 64-bit floating point",
        "{'enum': [[-1e400]]} | the schema's `enum` at # has a number beyond 64-bit floating point",
      })
  void schemas(String schema, String sentence) {
    assertEquals(sentence.replace('`', '"'), refusal(schema));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'type': 'object', 'properties': {'a': {'$ref': '#'}}, 'required': ['a']}",
        "{'type': 'array', 'items': {'$ref': '#'}, 'minItems': 1}",
        "{'type': 'integer', 'minimum': 3, 'maximum': 2}",
        "{'type': 'integer', 'exclusiveMinimum': 2, 'exclusiveMaximum': 3}",
        "{'type': 'string', 'minLength': 3, 'maxLength': 2}",
        "{'type': 'string', 'pattern': '^(aa)*$', 'minLength': 3, 'maxLength': 3}",
        "{'type': 'string', 'pattern': '^a$', 'minLength': 2}",
        "{'type': 'string', 'pattern': '[]'}",
        "{'type': 'array', 'items': false, 'minItems': 1}",
        "{'type': 'object', 'required': ['a'], 'additionalProperties': false}",
        "{'anyOf': [false, {'type': 'array', 'minItems': 2, 'maxItems': 1}]}",
      })
  void schemasWithoutATextThatEnds(String schema) {
    assertEquals("the schema at # allows no text that comes to an end", refusal(schema));
  }

  @Test
  void hostileSizes() {
    ObjectNode deep = TinyTokenizer.MAPPER.createObjectNode();
    ObjectNode at = deep;
    for (int i = 0; i < 500; i++) {
      at = at.putObject("items");
    }
    assertEquals(
        "the schema at #" + "/items".repeat(16) + "/it... is nested more than 64 deep",
        refusal(deep));
    ObjectNode many = TinyTokenizer.MAPPER.createObjectNode();
    IntStream.range(0, 600).forEach(i -> many.withObject("/properties").putObject("k" + i));
    assertEquals(
        "the schema at # has more than 500 properties, or keys over 500 long", refusal(many));
    ObjectNode wide = TinyTokenizer.MAPPER.createObjectNode();
    IntStream.range(0, 6000).forEach(i -> wide.withArray("anyOf").addObject());
    assertEquals("the schema has more than 5000 parts", refusal(wide));
    ObjectNode large = TinyTokenizer.MAPPER.createObjectNode();
    IntStream.range(0, 2000).forEach(i -> large.withArray("enum").add(i + "x".repeat(1000)));
    assertEquals(
        "the schema's \"enum\" at # brings the values to more than 1048576 bytes", refusal(large));
    ObjectNode costly = TinyTokenizer.MAPPER.createObjectNode();
    IntStream.range(0, 400)
        .forEach(
            i -> costly.withObject("/properties/k" + i).put("pattern", "^[ab]*a[ab]{9}" + i + "$"));
    String message = refusal(costly);
    assertEquals(
        "cannot be followed: the automata of this schema are too large",
        message.substring(message.indexOf("cannot")));
  }

  private static String refusal(String schema) {
    try {
      return refusal(StrictJson.tree(schema.replace('\'', '"').getBytes(UTF_8)));
    } catch (JacksonException e) {
      throw new AssertionError(StrictJson.reason(e), e);
    }
  }

  private static String refusal(JsonNode schema) {
    return assertThrows(IllegalArgumentException.class, () -> JsonGrammar.of(schema)).getMessage();
  }
}

package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.HexFormat;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import panamoe.data.ByteTokenizer;
import panamoe.data.TinyTokenizer;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Each keyword allows some texts and no others. */
class JsonGrammarTest {
  private JsonGrammar grammar;

  @Test
  void theExampleRuns() throws IOException {
    JsonNode schema = StrictJson.tree("{\"type\": \"integer\"}".getBytes(UTF_8));
    assertTrue(JsonGrammarExample.run(new ByteTokenizer(), schema, "17".getBytes(UTF_8)));
  }

  @Test
  void typesAreOneOrSeveral() {
    schema("{'type': 'null'}")
        .accepts("null")
        .refuses("nul", "nulll", " null", "null ", "true", "");
    schema("{'type': 'boolean'}").accepts("true", "false").refuses("True", "1");
    schema("{'type': ['integer', 'null']}").accepts("null", "-12").refuses("1.5", "true");
    schema("{'type': ['number', 'integer']}").accepts("1.5", "2");
    schema("{'type': 'string', 'nullable': true}").accepts("null", "''").refuses("1");
  }

  @Test
  void keywordsOfOtherTypesSayNothing() {
    schema("{'minLength': 2}").accepts("1", "null", "'ab'", "[1]").refuses("'a'");
    schema("{'type': 'integer', 'minLength': 2}").accepts("1");
  }

  @Test
  void anEmptySchemaAllowsAnyValue() {
    String[] values = {"null", "-1.5e+3", "'a'", "[]", "[1, {'a':[true]}]", "{'a': {'': 0}}"};
    schema("{}").accepts(values).refuses("", "[1 ,2]", "[1,  2]", "{ }", "[,]", "[1,]", "{'a'}");
    schema("true").accepts(values);
    schema("{'properties': {'a': false}}").accepts("{}", "{'b':1}").refuses("{'a':1}");
  }

  @Test
  void depthWithoutASchemaIsBounded() {
    schema("{}");
    int most = JsonRules.MOST_DEPTH;
    accepts("[".repeat(most) + "]".repeat(most));
    refuses("[".repeat(most + 1) + "]".repeat(most + 1));
  }

  @Test
  void anyObjectIsAnObject() {
    grammar = JsonGrammar.anyObject();
    accepts("{}", "{'a':[1,2],'b':null}").refuses("[]", "1", "{'a':1", "{'a':1}{", "{'a':1,}");
  }

  @Test
  void membersKeepTheOrderOfTheSchema() {
    schema(
            "{'type': 'object', 'properties': {'a': {'type': 'integer'}, 'b': {}, 'c': {'const':"
                + " 1}}, 'required': ['b'], 'additionalProperties': false}")
        .accepts("{'a':1,'b':2,'c':1}", "{'b': [], 'c': 1}", "{'a':1, 'b':{}}", "{'b':null}")
        .refuses("{}", "{'a':1}", "{'b':1,'a':1}", "{'b':1,'b':1}", "{'b':1,'d':1}", "{'b':1,}")
        .refuses("{,'b':1}", "{'b':1 }", "{'b' :1}", "{'b':  1}", "{'b':1,'c':2}", "{'a':1'b':1}");
  }

  @Test
  void otherMembersComeAfterTheNamedOnes() {
    schema(
            "{'type': 'object', 'properties': {'ab': {'type': 'integer'}}, 'required': ['z'],"
                + " 'additionalProperties': {'type': 'boolean'}}")
        .accepts("{'z':true}", "{'ab':1,'z':false,'y':true,'a':true,'abc':true,'':true}")
        .refuses("{'ab':true,'z':true}", "{'z':true,'ab':true}", "{'z':true,'\\u0061b':true}")
        .refuses("{'y':true,'z':true}", "{'z':true,'z':true}", "{'z':true,'y':1}");
  }

  @Test
  void keysAreWrittenPlainly() {
    schema("{'type': 'object', 'properties': {'\\n\\\"é😀': {}}, 'additionalProperties': false}")
        .accepts("{'\\n\\\"é😀':1}")
        .refuses("{'\\n\\\"\\u00e9😀':1}");
  }

  @Test
  void itemsAreCounted() {
    schema("{'type': 'array', 'items': {'type': 'integer'}, 'minItems': 2, 'maxItems': 3}")
        .accepts("[1,2]", "[1, 2, 3]")
        .refuses("[]", "[1]", "[1,2,3,4]", "[1,'a']");
    schema("{'type': 'array', 'prefixItems': [{'const': 'a'}, {'type': 'null'}]}")
        .accepts("[]", "['a']", "['a',null]", "['a',null,7,8]")
        .refuses("[null]", "['a','a']");
    schema("{'type': 'array', 'prefixItems': [{}, {}], 'items': false, 'minItems': 1}")
        .accepts("[1]", "[1,2]")
        .refuses("[]", "[1,2,3]");
    schema("{'type': 'array', 'prefixItems': [{}, {}], 'maxItems': 1}")
        .accepts("[]", "[1]")
        .refuses("[1,2]");
    schema("{'type': 'array', 'items': false}").accepts("[]").refuses("[1]");
    schema("{'type': 'array', 'maxItems': 0}").accepts("[]").refuses("[1]");
    schema("{'type': 'array', 'minItems': 1}").accepts("[1]", "[1,2,[3]]").refuses("[]");
  }

  @Test
  void valuesAreRepeatedByteForByte() {
    schema("{'enum': ['a', 'ab', 1, 12, null, {'x': [1, 'é']}]}")
        .accepts("'a'", "'ab'", "1", "12", "null", "{'x':[1,'é']}")
        .refuses("'b'", "2", "123", "{'x': [1,'é']}", "'\\u0061'");
    schema("{'const': {'b': 1, 'a': 2}}").accepts("{'b':1,'a':2}").refuses("{'a':2,'b':1}");
    schema("{'type': 'integer', 'enum': ['a', 1, 1.5, 2.0]}").accepts("1", "2.0").refuses("1.5");
  }

  @Test
  void manyValuesAreOnePlace() {
    ObjectNode schema = TinyTokenizer.MAPPER.createObjectNode();
    ArrayNode values = schema.putArray("enum");
    IntStream.range(0, 20_000).forEach(i -> values.add("value " + i * 7));
    grammar = JsonGrammar.of(schema);
    accepts("'value 0'", "'value 139993'").refuses("'value 1'", "'value 14001'", "'value '");
  }

  @Test
  void alternativesAreFollowedTogether() {
    String first = "{'type':'object','properties':{'k':{'const':'x'},'v':{'type':'integer'}},";
    String second = "{'type':'object','properties':{'k':{'const':'xy'},'v':{'type':'null'}},";
    String end = "'required':['k','v'],'additionalProperties':false}";
    for (String keyword : new String[] {"anyOf", "oneOf"}) {
      schema("{'" + keyword + "': [" + first + end + "," + second + end + "]}")
          .accepts("{'k':'x','v':1}", "{'k':'xy','v':null}")
          .refuses("{'k':'x','v':null}", "{'k':'xy','v':1}");
    }
    schema("{'allOf': [{'type': 'null'}]}").accepts("null").refuses("1");
  }

  @Test
  void referencesMayRecur() {
    schema(
            "{'$ref': '#/$defs/a~1b%20c', '$defs': {'a/b c': {'type': 'object', 'properties': {'v':"
                + " {'type': 'integer'}, 'next': {'anyOf': [{'$ref': '#/$defs/a~1b%20c'}, {'type':"
                + " 'null'}]}}, 'required': ['v', 'next'], 'additionalProperties': false}}}")
        .accepts("{'v':1,'next':null}", "{'v':1,'next':{'v':2,'next':null}}")
        .refuses("{'v':1}", "{'v':1,'next':{'v':2}}");
    schema("{'type': 'array', 'items': {'$ref': '#'}}").accepts("[[],[[[]]]]").refuses("[1]");
    int deep = 100_000;
    accepts("[".repeat(deep) + "]".repeat(deep)).refuses("[".repeat(deep) + "]".repeat(deep - 1));
  }

  @Test
  void onlyUtf8AndEscapesAreCharacters() {
    schema("{'type': 'string'}")
        .accepts(
            "'é€😀\u007f'", "'\\u00e9\\\\\\/\\b\\f\\n\\r\\t\\\"'", "'\\ud83d\\ude00\\uD83D\\uDE00'")
        .refuses("'\n'", "'\u0000'", "'\\x'", "'\\u12g4'", "'\\ud83d'", "'\\ude00'", "'a")
        .refuses("'\\ud83d\\u0041'", "'\\ud83dx'", "'\\ud83d\\n'");
    for (String good : new String[] {"c280", "dfbf", "e0a080", "ed9fbf", "f0908080", "f48fbfbf"}) {
      assertTrue(grammar.accepts(HexFormat.of().parseHex("22" + good + "22")), good);
    }
    String[] malformed = {
      "80",
      "c080",
      "c1bf",
      "c2",
      "e08080",
      "e09fbf",
      "eda080",
      "f08080",
      "f0808080",
      "f4908080",
      "f5808080",
      "ff",
      "c222",
      "e28222"
    };
    for (String bad : malformed) {
      assertFalse(grammar.accepts(HexFormat.of().parseHex("22" + bad + "22")), bad);
    }
  }

  @Test
  void lengthsAreOfCharacters() {
    schema("{'type': 'string', 'minLength': 2, 'maxLength': 3}")
        .accepts("'ab'", "'abc'", "'😀é'", "'\\ud83d\\ude00\\n\\u0041'")
        .refuses("''", "'a'", "'😀'", "'abcd'", "'\\n\\n\\n\\n'");
    schema("{'type': 'string', 'minLength': 2}").accepts("'ab'", "'abcdef'").refuses("'a'");
    schema("{'type': 'string', 'maxLength': 0}").accepts("''").refuses("'a'");
    schema("{'type': 'string', 'maxLength': 100000}").accepts("'" + "a".repeat(100_000) + "'");
    refuses("'" + "a".repeat(100_001) + "'");
  }

  @Test
  void numbersHaveFewDigits() {
    schema("{'type': 'number'}")
        .accepts("0", "-0", "12.50", "1e5", "-1.5E-07", "1" + "0".repeat(17))
        .refuses("01", "1.", ".5", "+1", "1e", "1e+", "1e100", "-", "1" + "0".repeat(18), "NaN");
    schema("{'type': 'integer'}").accepts("0", "-7", "42").refuses("-0", "1.0", "1e2", "007");
  }

  @Test
  void formatsArePatternsOrNothing() {
    schema("{'type': 'string', 'format': 'date'}")
        .accepts("'2024-02-29'", "'2000-02-29'", "'2023-12-31'", "'2023-04-30'")
        .refuses("'2023-02-29'", "'1900-02-29'", "'2023-04-31'", "'2023-13-01'", "'2023-1-01'");
    schema("{'type': 'string', 'format': 'date-time'}")
        .accepts("'2024-02-29T23:59:59Z'", "'2024-01-01T00:00:00.123+01:30'")
        .refuses("'2024-01-01 00:00:00Z'", "'2024-01-01T24:00:00Z'", "'2024-01-01T00:00:00'");
    schema("{'type': 'string', 'format': 'uuid'}")
        .accepts("'123e4567-e89b-12d3-a456-426614174000'")
        .refuses("'123e4567e89b12d3a456426614174000'");
    schema("{'type': 'string', 'format': 'ipv4'}").accepts("'255.1.0.19'").refuses("'256.1.0.1'");
    schema("{'type': 'integer', 'format': 'int64'}").accepts("123456789012345678");
    schema("{'type': 'integer', 'format': 'int32'}")
        .accepts("2147483647", "-2147483648")
        .refuses("2147483648", "-2147483649");
  }

  @Test
  void annotationsSayNothing() {
    schema(
            "{'$schema': 'x', '$id': 'y', 'title': 't', 'description': 'd', 'default': 1,"
                + " 'examples': [2], '$comment': 'c', 'deprecated': true, 'readOnly': true,"
                + " 'writeOnly': false, 'uniqueItems': false, 'minProperties': 0, 'type': 'null'}")
        .accepts("null")
        .refuses("1");
  }

  private JsonGrammarTest schema(String json) {
    try {
      grammar = JsonGrammar.of(StrictJson.tree(json.replace('\'', '"').getBytes(UTF_8)));
    } catch (JacksonException e) {
      throw new AssertionError(StrictJson.reason(e), e);
    }
    return this;
  }

  private JsonGrammarTest accepts(String... texts) {
    for (String text : texts) {
      assertTrue(grammar.accepts(text.replace('\'', '"').getBytes(UTF_8)), text);
    }
    return this;
  }

  private JsonGrammarTest refuses(String... texts) {
    for (String text : texts) {
      assertFalse(grammar.accepts(text.replace('\'', '"').getBytes(UTF_8)), text);
    }
    return this;
  }
}

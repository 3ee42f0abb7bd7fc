package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Schemas that a grammar cannot follow exactly become wider ones that it can. */
class FollowableSchemaTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'type':'string','format':'uri'} | {'type':'string'} | 'x'",
        "{'type':'string','format':'date','pattern':'^2'} | {'type':'string','pattern':'^2'} | '2026-12-01'",
        "{'type':'object','propertyNames':{'pattern':'x'},'additionalProperties':{'not':{}}}"
            + "| {'type':'object','additionalProperties':{}} | {'x':1}",
        "{'type':'object','patternProperties':{'^x-':{}},'additionalProperties':false,'unevaluatedProperties':false}"
            + "| {'type':'object'} | {'x-a':1}",
        "{'type':'array','uniqueItems':true,'items':{'multipleOf':2,'type':'integer'}}"
            + "| {'type':'array','items':{'type':'integer'}} | [2,4]",
        "{'type':'object','properties':{'not':{'if':{}}},'anyOf':[{'required':['not']}]}"
            + "| {'type':'object','properties':{'not':{}}} | {'not':1}",
        "{'anyOf':[{'type':'string','contains':1},{'type':'null'}],'default':null,'minLength':1}"
            + "| {'anyOf':[{'type':'string'},{'type':'null'}],'default':null} | 'x'",
        "{'enum':['a','b'],'type':'string','minLength':1}"
            + "| {'enum':['a','b'],'type':'string'} | 'a'",
        "{'allOf':[{'type':'string'},{'minLength':1}]} | {} | 'x'",
        "{'type':'object','required':null,'properties':{'a':{'$ref':'#/$defs/b'}},'$defs':{'b':{'not':1}}}"
            + "| {'type':'object','properties':{'a':{'$ref':'#/$defs/b'}},'$defs':{'b':{}}} | {'a':1}",
      })
  void becomesWider(String schema, String followable, String value) {
    JsonNode read = json(schema);
    assertThrows(IllegalArgumentException.class, () -> JsonGrammar.of(read));
    JsonNode wider = JsonGrammar.followable(read);
    assertEquals(json(followable), wider);
    assertTrue(JsonGrammar.of(wider).accepts(value.replace('\'', '"').getBytes(UTF_8)));
    assertEquals(wider, JsonGrammar.followable(wider));
  }

  private static JsonNode json(String quoted) {
    return JsonMapper.shared().readTree(quoted.replace('\'', '"'));
  }
}

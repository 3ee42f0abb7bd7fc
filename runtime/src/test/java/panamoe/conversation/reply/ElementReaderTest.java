package panamoe.conversation.reply;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.data.ByteTokenizer;
import panamoe.grammar.CallGrammar;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Arguments between tags have the types that the function's schema says. */
class ElementReaderTest {
  private static final Map<String, JsonNode> FUNCTIONS =
      Map.of(
          "f",
          JsonMapper.shared()
              .readTree(
                  """
                  {"type": "object", "$defs": {"word": {"type": "string"}}, "properties": {
                    "text": {"type": "string"}, "word": {"$ref": "#/$defs/word"},
                    "unit": {"enum": ["c", "f"]}, "count": {"type": "integer"},
                    "all": {"type": "boolean"}, "list": {"type": "array", "items": {}},
                    "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "any": {}}}"""));

  private static Reply reply(ReplyForm form) {
    return form.reply(new ByteTokenizer(), false, false, FUNCTIONS);
  }

  /** A call of f as each form writes it. */
  private static String call(ReplyForm form, String key, String value) {
    return switch (form) {
      case GLM ->
          "<tool_call>f\n<arg_key>"
              + key
              + "</arg_key>\n<arg_value>"
              + value
              + "</arg_value>\n"
              + "</tool_call>";
      case MINIMAX ->
          "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\""
              + key
              + "\">"
              + value
              + "</parameter>\n</invoke>\n</minimax:tool_call>";
      default ->
          "<tool_call>\n<function=f>\n<parameter="
              + key
              + ">\n"
              + value
              + "\n</parameter>\n"
              + "</function>\n</tool_call>";
    };
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "text|17|\"17\"",
        "text|``|\"\"",
        "text|a \"b\" \\ <c> </|\"a \\\"b\\\" \\\\ <c> </\"",
        "text|`~  if x:~    y~`|\"\\n  if x:\\n    y\\n\"",
        "word|true|\"true\"",
        "unit|c|\"c\"",
        "count|17|17",
        "count|many|\"many\"",
        "all|true|true",
        "list|[1, {\"a\": \"}\"}]|[1, {\"a\": \"}\"}]",
        "list|` [1,~2] `|[1,~2]",
        "list|[1] 2|\"[1] 2\"",
        "maybe|null|null",
        "maybe|17|\"17\"",
        "maybe|\"a\"|\"\\\"a\\\"\"",
        "any|17|17",
        "any|Oslo|\"Oslo\"",
        "another|[]|[]",
      })
  void aValueHasItsType(String key, String written, String json) {
    String value = written.replace('~', '\n');
    String expected = "{\"" + key + "\": " + json.replace('~', '\n') + "}";
    for (ReplyForm form : List.of(ReplyForm.GLM, ReplyForm.MINIMAX, ReplyForm.QWEN_CODER)) {
      String call = call(form, key, value);
      for (int size : new int[] {1, 2, 7, call.length()}) {
        Reply reply = reply(form);
        StringBuilder arguments = new StringBuilder();
        for (int at = 0; at < call.length(); at += size) {
          Reply.Read read = reply.next(call.substring(at, Math.min(call.length(), at + size)));
          read.calls().forEach(piece -> arguments.append(piece.arguments()));
        }
        assertEquals("", reply.end(false).content());
        assertEquals(expected, arguments.toString(), form::name);
        assertEquals(expected, reply.calls().getFirst().arguments());
        assertTrue(reply.called());
        reply.calls().getFirst().object();
      }
    }
  }

  /** JSON with a key twice has no meaning that all readers share. */
  @Test
  void aNameThatComesAgainEndsTheCall() {
    for (ReplyForm form : List.of(ReplyForm.GLM, ReplyForm.MINIMAX, ReplyForm.QWEN_CODER)) {
      String call = call(form, "text", "Oslo");
      String name = form == ReplyForm.GLM ? "<arg_key>" : "<parameter";
      int begin = call.indexOf(name);
      int end = call.lastIndexOf("</");
      end = form == ReplyForm.GLM ? end : call.indexOf("</parameter>") + "</parameter>\n".length();
      Reply reply = reply(form);
      reply.next(call.substring(0, end) + call.substring(begin));
      assertEquals("{\"text\": \"Oslo\"}", reply.calls().getFirst().arguments(), form::name);
      assertTrue(reply.called());
    }
  }

  /** A string is passed on up to what may be its end; other values when they are whole. */
  @Test
  void aCutReplyGivesWhatIsCertain() {
    for (ReplyForm form : List.of(ReplyForm.GLM, ReplyForm.MINIMAX, ReplyForm.QWEN_CODER)) {
      String text = call(form, "text", "Oslo");
      Reply reply = reply(form);
      reply.next(text.substring(0, text.indexOf("lo") + 5));
      assertEquals("{\"text\": \"Oslo", reply.calls().getFirst().arguments());
      assertFalse(reply.called());
      assertEquals("", reply.end(true).content());
      Reply list = reply(form);
      String call = call(form, "list", "[1, 2]");
      list.next(call.substring(0, call.indexOf("2") + 1));
      list.end(true);
      assertEquals("{\"list\": ", list.calls().getFirst().arguments());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ReplyForm.class,
      names = {"GLM", "MINIMAX", "QWEN_CODER"})
  void whatIsNoCallIsContent(ReplyForm form) {
    String call = call(form, "text", "a");
    for (String text :
        List.of("<tool_call>", "<tool_call>say <b>x</b></tool_call>", call.replace("f", "f!"))) {
      Reply reply = reply(form);
      reply.next(text);
      reply.end(false);
      assertEquals(text, reply.content());
    }
  }

  /** The grammar allows the values of each parameter's schema, and only parameters it names. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"type\": \"string\"} | `a~<b> \"\\ ü` | true",
        "{\"type\": \"string\"} | `` | true",
        "{\"type\": \"integer\"} | 17 | true",
        "{\"type\": \"integer\"} | many | false",
        "{\"enum\": [\"c\", \"\"]} | c | true",
        "{\"enum\": [\"c\", \"\"]} | `` | true",
        "{\"enum\": [\"c\", \"\"]} | d | false",
        "{\"enum\": [\"c\", \"\"]} | \"c\" | false",
        "{\"$ref\": \"#/$defs/unit\"} | c | true",
        "{\"$ref\": \"#/$defs/unit\"} | d | false",
        "{\"anyOf\": [{\"const\": \"a\"}, {\"format\": \"date\", \"type\": \"string\"}]} | a | true",
        "{\"anyOf\": [{\"const\": \"a\"}, {\"format\": \"date\", \"type\": \"string\"}]} | 2026-02-28 | true",
        "{\"anyOf\": [{\"const\": \"a\"}, {\"format\": \"date\", \"type\": \"string\"}]} | 2026-02-30 | false",
        "{\"type\": \"string\", \"minLength\": 2} | a | false",
        "{\"type\": \"string\", \"maxLength\": 2} | ü\" | true",
        "{\"type\": \"string\", \"maxLength\": 2} | abc | false",
        "{\"type\": \"string\", \"pattern\": \"^[a-z\\\"]+$\"} | a\"b | true",
        "{\"type\": \"string\", \"pattern\": \"^[a-z\\\"]+$\"} | a b | false",
        "{\"type\": [\"array\", \"null\"]} | [1, \"a\"] | true",
        "{\"type\": [\"array\", \"null\"]} | a | false",
        "{} | [ | true",
        "false | 1 | false",
      })
  void aGrammarAllowsTheValuesOfTheSchema(String schema, String written, boolean allowed) {
    JsonNode function =
        JsonMapper.shared()
            .readTree(
                "{\"type\": \"object\", \"$defs\": {\"unit\": {\"enum\": [\"c\", \"f\"]}},"
                    + " \"properties\": {\"a\": "
                    + schema
                    + "}, \"additionalProperties\": true}");
    for (ReplyForm form : List.of(ReplyForm.GLM, ReplyForm.MINIMAX, ReplyForm.QWEN_CODER)) {
      CallGrammar grammar =
          CallGrammar.of(form.calls(new ByteTokenizer()), Map.of("f", function), true);
      String call = call(form, "a", written.replace('~', '\n'));
      assertEquals(allowed, grammar.accepts(bytes(call)), call);
      assertFalse(grammar.accepts(bytes(call(form, "b", written))));
    }
  }

  @Test
  void whatIsRequiredComesOnceAndInOrder() {
    JsonNode function =
        JsonMapper.shared()
            .readTree(
                "{\"type\": \"object\", \"properties\": {\"a\": {}, \"b\": {}}, \"required\":"
                    + " [\"b\"]}");
    CallGrammar grammar =
        CallGrammar.of(
            ReplyForm.QWEN_CODER.calls(new ByteTokenizer()), Map.of("f", function), false);
    String form = "<tool_call><function=f>%s</function></tool_call>";
    String a = "<parameter=a>\n1\n</parameter>";
    String b = "\n<parameter=b>\n1\n</parameter>\n";
    assertTrue(grammar.accepts(bytes(form.formatted(b))));
    assertTrue(grammar.accepts(bytes(form.formatted(a + b))));
    for (String wrong : List.of("", a, b + a, b + b)) {
      assertFalse(grammar.accepts(bytes(form.formatted(wrong))), wrong);
    }
  }

  /** A pattern that only the first character of the end can satisfy has no text to write. */
  @Test
  void aPatternThatNeedsTheEndsFirstCharacterIsRefused() {
    JsonNode function =
        JsonMapper.shared()
            .readTree(
                "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\","
                    + " \"pattern\": \"^<\"}}, \"required\": [\"a\"]}");
    String refusal =
        assertThrows(
                IllegalArgumentException.class,
                () ->
                    CallGrammar.of(
                        ReplyForm.GLM.calls(new ByteTokenizer()), Map.of("f", function), true))
            .getMessage();
    assertEquals("function f: the schema at # allows no value of finite length", refusal);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(UTF_8);
  }
}

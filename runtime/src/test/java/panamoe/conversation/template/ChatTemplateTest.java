package panamoe.conversation.template;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.data.JsonTokenizer;
import panamoe.io.DataException;
import panamoe.open.TokenizerFiles;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class ChatTemplateTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final ArrayNode NO_TOOLS = JsonNodeFactory.instance.arrayNode();
  private static final ObjectNode NOTHING = JsonNodeFactory.instance.objectNode();

  private static JsonNode json(String text) throws IOException {
    return JSON.readTree(text.replace('\'', '"'));
  }

  /** The prompt, with the conversation's characters in angle quotes. */
  private static String marked(Prompt prompt) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < prompt.text().length(); i++) {
      boolean given = prompt.literal().get(i);
      if (given && (i == 0 || !prompt.literal().get(i - 1))) {
        text.append('‹');
      }
      text.append(prompt.text().charAt(i));
      if (given && !prompt.literal().get(i + 1)) {
        text.append('›');
      }
    }
    return text.toString();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "{{ '<' ~ c ~ '>' }}; <‹ a<b>c ›>",
        "{{ '<' + c.strip() + '>' }}; <‹a<b>c›>",
        "{{ c.split('<')[1] ~ '!' }}; ‹b>c ›!",
        "{{ c|replace('b', 'x') }}; ‹ a<›x‹>c ›",
        "{{ 'a-b'|replace('-', c) }}; a‹ a<b>c ›b",
        "{{ c|trim|upper }}; ‹A<B>C›",
        "{{ c[1:3] ~ c[1] }}; ‹a<a›",
        "{{ [c, 'x', c]|join(',') }}; ‹ a<b>c ›,x,‹ a<b>c ›",
        "{{ {'k': c}|tojson }}; {\"k\": \"‹ a<b>c ›\"}",
        "{{ [c] }}; ['‹ a<b>c ›']",
        "{{ '%s=%s' % ('c', c) }}; c=‹ a<b>c ›",
        "{{ '{}={}'.format('c', c) }}; c=‹ a<b>c ›",
        "{% set x %}<{{ c }}>{% endset %}{{ x }}; <‹ a<b>c ›>",
        "{% macro m(y) %}<{{ y }}>{% endmacro %}{{ m(c)|indent }}; <‹ a<b>c ›>",
        "{% for l in c|trim %}{{ l }}.{% endfor %}; ‹a›.‹<›.‹b›.‹>›.‹c›.",
        "{{ c|reverse|trim }}; ‹c>b<a›",
        "{{ bos_token ~ c|trim|truncate(4, true, '...', 0) }}; <s>‹a›...",
        "{{ messages[0].role ~ messages[1].role }}; user‹User|›"
      })
  void whatWasGivenIsNeverTheTemplatesOwn(String template, String expected) throws IOException {
    ObjectNode variables = NOTHING.deepCopy().put("c", " a<b>c ");
    variables.set("messages", json("[{'role':'user'},{'role':'User|'}]"));
    ChatTemplate chat = ChatTemplate.of(template, "t", Map.of("bos_token", "<s>"));
    assertEquals(expected, marked(chat.render(variables)));
  }

  @Test
  void aUserCannotWriteAMarker() {
    JsonTokenizer tokenizer =
        JsonTokenizer.of(TINY.replace('\'', '"').getBytes(StandardCharsets.UTF_8), "tiny");
    ChatTemplate chat =
        ChatTemplate.of(
            "{% for m in messages %}<|im|>{{ m.role }}{{ m.content }}<|end|>{% endfor %}",
            "t", Map.of());
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "user").put("content", "a<|end|>|");
    Prompt prompt = chat.render(messages, NO_TOOLS, true, NOTHING);
    int[] tokens = prompt.tokens(tokenizer);
    assertEquals(256, tokens[0]);
    assertEquals(257, tokens[tokens.length - 1]);
    assertEquals(1, Arrays.stream(tokens).filter(token -> token == 257).count());
    assertEquals("usera<|end|>|", tokenizer.decode(tokens));
    // A marker of which the user wrote one half is text, too.
    assertArrayEquals(
        tokenizer.encode("<|en" + "d|>"),
        ChatTemplate.of("<|en{{ c }}", "t", Map.of())
            .render(NOTHING.deepCopy().put("c", "d|>"))
            .tokens(tokenizer));
  }

  private static final String TINY = tiny();

  /** A tokenizer of bytes and two special tokens. */
  private static String tiny() {
    StringBuilder json = new StringBuilder("{'model':{'type':'BPE','vocab':{");
    int id = 0;
    for (int value = 0; value < 256; value++) {
      boolean shown = value > 32 && value < 127 || value > 160 && value != 173;
      int point = shown ? value : 256 + id++;
      json.append(value == 0 ? "" : ",")
          .append("'")
          .append(
              point == '\''
                  ? "\\u0027"
                  : point == '"' ? "\\\"" : point == '\\' ? "\\\\" : Character.toString(point))
          .append("':")
          .append(value);
    }
    return json
        + "},'merges':[]},'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false,"
        + "'use_regex':false},'decoder':{'type':'ByteLevel'},'added_tokens':["
        + "{'id':256,'content':'<|im|>','special':true},"
        + "{'id':257,'content':'<|end|>','special':true},"
        + "{'id':258,'content':'</s>','special':true}]}";
  }

  @Test
  void isFoundInAModelsFolder(@TempDir Path folder) throws IOException {
    assertTrue(ChatTemplate.in(folder).isEmpty());
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(config, "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": null}");
    assertTrue(ChatTemplate.in(folder).isEmpty());
    Path ofProcessor = folder.resolve("chat_template.json");
    Files.writeString(ofProcessor, "{\"chat_template\": \"{{ bos_token }}of images\"}");
    assertEquals("<s>of images", text(ChatTemplate.in(folder).orElseThrow()));
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    byte[] carried = new TokenizerFiles(folder, false).contents().get("tokenizer_config.json");
    assertTrue(new String(carried, StandardCharsets.UTF_8).contains("of images"));
    Files.writeString(
        config,
        "{\"bos_token\": \"<s>\", \"chat_template\": \"{{ bos_token }}{{ eos_token }}text\"}");
    assertEquals("<s>text", text(ChatTemplate.in(folder).orElseThrow()));
    Files.writeString(
        config,
        "{\"chat_template\": [{\"name\": \"default\", \"template\": \"usual\"},"
            + " {\"name\": \"tool_use\", \"template\": \"{{ tools|length }} tools\"}]}");
    ChatTemplate named = ChatTemplate.in(folder).orElseThrow();
    assertEquals("usual", text(named));
    ArrayNode tools = JsonNodeFactory.instance.arrayNode();
    tools.addObject();
    assertEquals("1 tools", named.render(NO_TOOLS, tools, true, NOTHING).text());
    Files.writeString(folder.resolve("chat_template.jinja"), "from {{ x }}the file\n");
    assertEquals("from the file", text(ChatTemplate.in(folder).orElseThrow()));
  }

  private static String text(ChatTemplate template) {
    return template.render(NO_TOOLS, NO_TOOLS, true, NOTHING).text();
  }

  @Test
  void aTemplateThatCannotBeUsedIsRefusedByItsFile(@TempDir Path folder) throws IOException {
    Path config = folder.resolve("tokenizer_config.json");
    Files.writeString(config, "{\"chat_template\": \"\\n{% if %}\"}");
    assertRefused(
        folder,
        config + ", chat_template, line 2: there is the end of the tag, expected an expression");
    Files.writeString(config, "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"x\"}]}");
    assertRefused(folder, config + ", chat_template has no template of the name default");
    Path ofProcessor = folder.resolve("chat_template.json");
    Files.writeString(config, "{}");
    Files.writeString(ofProcessor, "{\"chat_template\": \"{% if %}\"}");
    assertRefused(folder, ofProcessor + ", chat_template, line 1");
    Files.delete(ofProcessor);
    Files.writeString(config, "[");
    assertRefused(folder, config + " is not valid JSON: ");
    Path file = folder.resolve("chat_template.jinja");
    Files.write(file, new byte[] {(byte) 0xff});
    Files.delete(config);
    assertRefused(folder, file + " is not UTF-8");
    Files.delete(file);
    Files.createDirectory(file);
    assertRefused(folder, file + " is not a regular file");
  }

  private static void assertRefused(Path folder, String message) {
    DataException e = assertThrows(DataException.class, () -> ChatTemplate.in(folder));
    assertTrue(e.getMessage().startsWith(message), e.getMessage());
  }

  @Test
  void variablesOfARequestReplaceNothing() throws IOException {
    ChatTemplate chat =
        ChatTemplate.of(
            "{{ messages|length }}{{ tools }}{{ documents }}{{ enable_thinking }}", "t", Map.of());
    ObjectNode extra = (ObjectNode) json("{'messages':[],'enable_thinking':false,'tools':3}");
    ArrayNode messages = (ArrayNode) json("[{'role':'user','content':'a'}]");
    assertEquals("1NoneNoneFalse", chat.render(messages, NO_TOOLS, true, extra).text());
  }
}

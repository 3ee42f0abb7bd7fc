package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.model.ServedModel;
import tools.jackson.databind.JsonNode;

/** A server whose model has a chat template. */
class ChatTemplateTest {
  private static final String TEMPLATE =
      """
      {%- for m in messages %}
        {%- if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}
        {{- m.role }}:{{ m.content }}
        {%- for call in m.tool_calls or [] %}({{ call.function.name }} {{ call.function.arguments.side }})
        {%- endfor %}{{ m.reasoning_content }}{{ m.name }}.
      {%- endfor %}
      {%- if tools %}{{ tools[0].type }} {{ tools[0].function.name }}{% endif %}
      {%- if enable_thinking is defined %}thinking {{ enable_thinking }}{% endif %}
      {{- reasoning_effort }}
      {%- if messages[0].content == 'fail' %}{{ nothing.at.all }}{% endif %}
      {%- if add_generation_prompt %}assistant:{% endif %}
      """;

  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    server = new TestServer(ChatTemplate.of(TEMPLATE, "t", Map.of()));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'role':'user','content':'a'} | | user:a.assistant:",
        "{'role':'user','content':[{'type':'text','text':'a'},{'type':'text','text':'b'}]} | | user:ab.assistant:",
        "{'role':'user','content':'a','name':'Ann'} | | user:aAnn.assistant:",
        "{'role':'assistant','content':'a','reasoning_content':'hm'} | | assistant:ahm.assistant:",
        "{'role':'user','content':'a'} | ,'chat_template_kwargs':{'enable_thinking':false} | user:a.thinking Falseassistant:",
        "{'role':'user','content':'a'} | ,'reasoning_effort':'high' | user:a.highassistant:",
        "{'role':'user','content':'a'} | ,'tools':[{'type':'function','function':{'name':'vote'}}] | user:a.function voteassistant:",
        "{'role':'assistant','content':null,'tool_calls':[{'id':'c','type':'function','function':{'name':'vote','arguments':'{\\'side\\':\\'ayes\\'}'}}]} | | assistant:(vote ayes).assistant:"
      })
  void thePromptIsTheTemplates(String message, String more, String prompt) throws Exception {
    String body = "{'messages':[" + message + "]" + (more == null ? "" : more) + "}";
    assertEquals(prompt, server.ask("/apply-template", body).get("prompt").stringValue());
    JsonNode tokens = server.ask("/tokenize", body);
    assertEquals(prompt.length(), tokens.get("count").intValue());
    if (body.contains("tools")) {
      return; // the hash has no tokens to constrain
    }
    JsonNode chat =
        server.ask(
            "/v1/chat/completions",
            body.replaceAll("}$", ",'max_tokens':1,'return_token_ids':true}"));
    assertEquals(tokens.get("tokens"), chat.get("prompt_token_ids"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'role':'system','content':'a'} | | no system here",
        "{'role':'user','content':'fail'} | | the chat template, line 10: 'nothing' is undefined",
        "{'role':'user','content':'a'} | ,'chat_template_kwargs':3 | chat_template_kwargs is not an object",
        "{'role':'user','content':'a'} | ,'reasoning_effort':'lots' | reasoning_effort is not one of none, minimal, low, medium, high, xhigh, max"
      })
  void whatTheTemplateRefusesIsTheRequestsFault(String message, String more, String why)
      throws Exception {
    String body = "{'messages':[" + message + "]" + (more == null ? "" : more) + "}";
    for (String path : new String[] {"/v1/chat/completions", "/apply-template"}) {
      HttpResponse<String> answer = server.post(path, body);
      assertEquals(400, answer.statusCode(), answer::body);
      JsonNode error = TestServer.json(answer.body()).get("error");
      assertEquals(why, error.get("message").stringValue());
      assertEquals("invalid_request_error", error.get("type").stringValue());
    }
  }

  @Test
  void aModelWithAnEncoderHasNoConversations() {
    ChatFormat lines = ChatFormat.lines(new ByteTokenizer());
    ServedModel encoder =
        new ServedModel(
            "switch",
            9,
            "fp",
            0,
            null,
            null,
            new ServedModel.Uses(true, false, 0, null, null, List.of()),
            lines);
    ApiError refused = assertThrows(ApiError.class, encoder::requireChat);
    assertEquals(400, refused.status());
    assertTrue(refused.body().error().message().contains("/v1/completions"));
  }
}

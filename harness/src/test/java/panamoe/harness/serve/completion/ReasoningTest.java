package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import tools.jackson.databind.JsonNode;

/** Thoughts are separated from the answer. */
@Timeout(120)
class ReasoningTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final int CONTEXT = 800;
  private static final String USER = "{'messages':[{'role':'user','content':'Hi'}]";
  private static final String CALL =
      "<tool_call>{\"name\": \"vote\", \"arguments\": {}}</tool_call>";
  private static final String TOOLS = ",'tools':[{'type':'function','function':{'name':'vote'}}]";

  private static TestServer server(String template, String script) throws IOException {
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    return new TestServer(
        ChatTemplate.of("{{ messages[0].content }}" + template, "t", Map.of()),
        new ByteTokenizer(),
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, script));
  }

  /** The message; checks that a stream gives the same. */
  private static JsonNode message(TestServer server, String fields) throws Exception {
    StringBuilder thoughts = new StringBuilder();
    StringBuilder content = new StringBuilder();
    for (String line : server.post(CHAT, USER + fields + ",'stream':true}").body().split("\n\n")) {
      if (line.startsWith("data: {")) {
        JsonNode delta = TestServer.json(line.substring(6)).at("/choices/0/delta");
        thoughts.append(delta.path("reasoning_content").asString());
        content.append(delta.path("content").asString(""));
      }
    }
    JsonNode message = server.ask(CHAT, USER + fields + "}").at("/choices/0/message");
    assertEquals(message.path("reasoning_content").asString(), thoughts.toString());
    assertEquals(message.path("content").asString(""), content.toString());
    return message;
  }

  @Test
  void thoughtsThatTheTextBeginsAreToldApart() throws Exception {
    try (TestServer server = server(":", "<think>\nLet me see.\n</think>\n\nAye.")) {
      JsonNode message = message(server, "");
      assertEquals("Let me see.", message.get("reasoning_content").stringValue());
      assertEquals("Aye.", message.get("content").stringValue());
    }
  }

  @Test
  void thoughtsThatThePromptBeginsAreToldApart() throws Exception {
    try (TestServer server = server("<think>\n", "Let me see.</think>" + CALL)) {
      JsonNode message = message(server, TOOLS);
      assertEquals("Let me see.", message.get("reasoning_content").stringValue());
      assertEquals("vote", message.at("/tool_calls/0/function/name").stringValue());
      JsonNode object = message(server, ",'response_format':{'type':'json_object'},'seed':1");
      assertFalse(object.has("reasoning_content"));
      JsonNode called = message(server, TOOLS + ",'tool_choice':'required'");
      assertFalse(called.has("reasoning_content"));
      assertEquals("vote", called.at("/tool_calls/0/function/name").stringValue());
    }
  }

  @Test
  void tokensOfThoughtsAreCounted() throws Exception {
    try (TestServer server = server(":", "<think>Hm.</think>Aye.")) {
      String usage = "/usage/completion_tokens_details/reasoning_tokens";
      JsonNode whole = server.ask(CHAT, USER + "}");
      // A token is a byte: the last one of <think>, the thought, and all but the last of </think>.
      assertEquals(1 + 3 + 7, whole.at(usage).intValue());
      String options = ",'stream':true,'stream_options':{'include_usage':true}}";
      String[] lines = server.post(CHAT, USER + options).body().split("\n\n");
      JsonNode last = TestServer.json(lines[lines.length - 2].substring(6));
      assertEquals(1 + 3 + 7, last.at(usage).intValue());
    }
  }

  @Test
  void withoutThoughtsAnAnswerIsContent() throws Exception {
    try (TestServer server = server(":", "Aye. <think>not this</think>")) {
      JsonNode message = message(server, "");
      assertFalse(message.has("reasoning_content"));
      assertEquals("Aye. <think>not this</think>", message.get("content").stringValue());
    }
  }
}

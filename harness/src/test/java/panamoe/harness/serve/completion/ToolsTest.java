package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.serve.model.Constraints;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Functions in chats, with a model that generates a given text. */
@Timeout(120)
class ToolsTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final int CONTEXT = 1600;
  private static final String TOOLS =
      "'tools':[{'type':'function','function':{'name':'vote','description':'Counts votes.',"
          + "'parameters':{'type':'object','properties':{'side':{'enum':['ayes','noes']}},"
          + "'required':['side'],'additionalProperties':false},'strict':true}},"
          + "{'type':'function','function':{'name':'adjourn'}}]";
  private static final String VOTE =
      "<tool_call>{\"name\": \"vote\", \"arguments\": {\"side\": \"ayes\"}}</tool_call>";
  private static final String USER = "'messages':[{'role':'user','content':'Vote.'}],";

  private static TestServer server(String script) throws IOException {
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    return new TestServer(new ByteTokenizer(), CONTEXT, ScriptedEngine.of(config, CONTEXT, script));
  }

  /** The only choice of a response to a request with the functions. */
  private static JsonNode choice(TestServer server, String fields) throws Exception {
    return server.ask(CHAT, "{" + USER + TOOLS + fields + "}").at("/choices/0");
  }

  /** The choice as a client assembles it from its stream. */
  private static JsonNode streamed(TestServer server, String fields) throws Exception {
    StringBuilder content = new StringBuilder();
    StringBuilder calls = new StringBuilder();
    String reason = null;
    String body = server.post(CHAT, "{" + USER + TOOLS + ",'stream':true" + fields + "}").body();
    for (String line : body.split("\n\n")) {
      if (!line.startsWith("data: {")) {
        continue;
      }
      JsonNode choice = TestServer.json(line.substring(6)).at("/choices/0");
      JsonNode delta = choice.get("delta");
      content.append(delta.path("content").asString());
      for (JsonNode call : delta.path("tool_calls")) {
        if (call.has("id")) {
          calls.append("\n").append(call.at("/function/name").stringValue()).append(' ');
        }
        calls.append(call.at("/function/arguments").stringValue());
      }
      reason = choice.get("finish_reason").stringValue();
    }
    JsonNode whole = choice(server, fields);
    StringBuilder expected = new StringBuilder();
    for (JsonNode call : whole.at("/message/tool_calls")) {
      assertFalse(call.has("index"));
      expected.append("\n").append(call.at("/function/name").stringValue()).append(' ');
      expected.append(call.at("/function/arguments").stringValue());
    }
    assertEquals(expected.toString(), calls.toString());
    JsonNode told = whole.at("/message/content");
    assertEquals(told.isNull() ? "" : told.stringValue(), content.toString());
    assertEquals(whole.get("finish_reason").stringValue(), reason);
    return whole;
  }

  private static String call(JsonNode choice, int number) {
    JsonNode call = choice.at("/message/tool_calls/" + number);
    assertEquals("function", call.get("type").stringValue());
    assertTrue(call.get("id").stringValue().startsWith("call_"));
    return call.at("/function/name").stringValue() + call.at("/function/arguments").stringValue();
  }

  @Test
  void aModelMayTalkAndCall() throws Exception {
    try (TestServer server = server("Let me see. " + VOTE)) {
      JsonNode choice = streamed(server, "");
      assertEquals("Let me see. ", choice.at("/message/content").stringValue());
      assertEquals("vote{\"side\": \"ayes\"}", call(choice, 0));
      assertEquals(1, choice.at("/message/tool_calls").size());
      assertEquals("tool_calls", choice.get("finish_reason").stringValue());
    }
  }

  @Test
  void callsAloneHaveNoContent() throws Exception {
    try (TestServer server = server(" " + VOTE + "\n" + VOTE)) {
      JsonNode choice = streamed(server, ",'tool_choice':'auto'");
      assertTrue(choice.at("/message/content").isNull());
      assertEquals(call(choice, 0), call(choice, 1));
      assertEquals(
          1, choice(server, ",'parallel_tool_calls':false").at("/message/tool_calls").size());
    }
  }

  @Test
  void whoDoesNotCallIsFree() throws Exception {
    try (TestServer server = server("The <tool> was <tool_called.")) {
      JsonNode choice = streamed(server, "");
      assertEquals("The <tool> was <tool_called.", choice.at("/message/content").stringValue());
      assertFalse(choice.get("message").has("tool_calls"));
      assertEquals("stop", choice.get("finish_reason").stringValue());
    }
  }

  /** From the opener on, an invalid call becomes a valid one. */
  @Test
  void aCallThatWasBegunIsValid() throws Exception {
    try (TestServer server = server("Well, <tool_call>{\"name\": \"abstain\", \"arguments\": 7")) {
      Set<String> calls = new TreeSet<>();
      for (int seed = 0; seed < 12; seed++) {
        JsonNode choice = streamed(server, ",'parallel_tool_calls':false,'seed':" + seed);
        assertEquals("tool_calls", choice.get("finish_reason").stringValue());
        calls.add(call(choice, 0).replace(" ", ""));
      }
      assertTrue(
          Set.of("adjourn{}", "vote{\"side\":\"ayes\"}", "vote{\"side\":\"noes\"}")
              .containsAll(calls),
          calls::toString);
    }
  }

  @Test
  void aCallCanBeRequired() throws Exception {
    try (TestServer server = server("I would rather not.")) {
      Set<String> names = new TreeSet<>();
      for (int seed = 0; seed < 12; seed++) {
        String fields = ",'parallel_tool_calls':false,'tool_choice':'required','seed':" + seed;
        JsonNode choice = streamed(server, fields);
        assertTrue(choice.at("/message/content").isNull());
        assertEquals("tool_calls", choice.get("finish_reason").stringValue());
        names.add(choice.at("/message/tool_calls/0/function/name").stringValue());
      }
      assertEquals(Set.of("adjourn", "vote"), names);
      JsonNode named =
          streamed(
              server, ",'seed':1,'tool_choice':{'type':'function','function':{'name':'adjourn'}}");
      assertEquals("adjourn{}", call(named, 0));
      assertEquals(1, named.at("/message/tool_calls").size());
    }
  }

  @Test
  void withNoneNothingIsRead() throws Exception {
    try (TestServer server = server(VOTE)) {
      JsonNode choice = choice(server, ",'tool_choice':'none'");
      assertEquals(VOTE, choice.at("/message/content").stringValue());
      assertFalse(choice.get("message").has("tool_calls"));
      assertEquals(
          "user: Vote.\nassistant:", prompt(server, "{" + USER + TOOLS + ",'tool_choice':'none'}"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {5, 41, 50})
  void theLimitCutsCallsToo(int most) throws Exception {
    try (TestServer server = server(VOTE)) {
      JsonNode choice = streamed(server, ",'max_tokens':" + most);
      assertEquals("length", choice.get("finish_reason").stringValue());
      if (most < 42) {
        assertEquals("", choice.at("/message/content").stringValue());
      } else {
        assertEquals("vote" + VOTE.substring(41, most), call(choice, 0));
      }
    }
  }

  @Test
  void aFormatIsKeptToWhereNothingIsCalled() throws Exception {
    String format =
        ",'parallel_tool_calls':false,'response_format':{'type':'json_schema','json_schema':"
            + "{'schema':{'const':'adopted'}}}";
    try (TestServer server = server("\"adopted\"")) {
      assertEquals("\"adopted\"", streamed(server, format).at("/message/content").stringValue());
      JsonNode must = streamed(server, format + ",'seed':1,'tool_choice':'required'");
      assertTrue(must.at("/message/content").isNull());
    }
    try (TestServer server = server(VOTE)) {
      assertEquals("vote{\"side\": \"ayes\"}", call(streamed(server, format), 0));
    }
  }

  @Test
  void logprobsAreToldOfCallsToo() throws Exception {
    try (TestServer server = server(VOTE)) {
      String fields = USER + TOOLS + ",'logprobs':true,'parallel_tool_calls':false,'stream':true";
      int told = 0;
      for (String line : server.post(CHAT, "{" + fields + "}").body().split("\n\n")) {
        if (line.startsWith("data: {")) {
          JsonNode chunk = TestServer.json(line.substring(6));
          told += chunk.at("/choices/0/logprobs/content").size();
        }
      }
      assertEquals(VOTE.length(), told);
    }
  }

  @Test
  void aLoggedTextMustCallAgain() throws Exception {
    ObjectNode fields =
        (ObjectNode) TestServer.json(TestServer.quoted("{" + TOOLS + ",'tool_choice':'required'}"));
    LoggedCompletion text =
        new LoggedCompletion(
            "chatcmpl-1",
            0,
            1,
            null,
            new int[] {'a'},
            SamplingConfig.of(1, 0, 1, 1),
            StopConfig.of(9, List.of()),
            Routing.USUAL,
            fields,
            new LoggedCompletion.Answer(new int[0], new String[0], Generation.End.STOP, null));
    Constraints constraints = new Constraints(new ByteTokenizer());
    BitSet first = text.request(constraints).constraint().get().allowed();
    assertEquals("{32, 60}", first.toString()); // a space, or the opener
  }

  private static String prompt(TestServer server, String body) throws Exception {
    return server.ask("/apply-template", body).get("prompt").stringValue();
  }

  @Test
  void aConversationHasCallsAndTheirResults() throws Exception {
    String messages =
        "'messages':[{'role':'user','content':'Vote.'},"
            + "{'role':'assistant','content':null,'tool_calls':[{'id':'call_1','type':'function',"
            + "'function':{'name':'vote','arguments':'{\\'side\\': \\'ayes\\'}'}}]},"
            + "{'role':'tool','tool_call_id':'call_1','content':'17'}]";
    try (TestServer server = server("")) {
      assertEquals(
          "user: Vote.\nassistant: " + VOTE + "\ntool: 17\nassistant:",
          prompt(server, "{" + messages + "}"));
      String marked = "'cache_control':{'type':'ephemeral'},";
      assertEquals(
          "user: Vote.\nassistant: " + VOTE + "\ntool: 17\nassistant:",
          prompt(
              server,
              "{"
                  + messages.replace("'role':'tool',", "'role':'tool','name':'vote'," + marked)
                  + "}"));
      assertEquals(
          prompt(server, "{" + USER + TOOLS + "}"),
          prompt(
              server,
              "{"
                  + USER
                  + TOOLS.replace("{'type':'function',", "{" + marked + "'type':'function',")
                  + "}"));
      assertEquals(
          TestServer.quoted(
              "system: Functions that can be called: <tools>[{'name':'vote','description':"
                  + "'Counts votes.','parameters':{'type':'object','properties':{'side':"
                  + "{'enum':['ayes','noes']}},'required':['side'],"
                  + "'additionalProperties':false}},{'name':'adjourn','parameters':"
                  + "{'type':'object','additionalProperties':false}}]</tools> A call is written as"
                  + " <tool_call>{'name': NAME, 'arguments': {...}}</tool_call>\n"
                  + "user: Vote.\nassistant:"),
          prompt(server, "{" + USER + TOOLS + "}"));
      JsonNode tokens = server.ask("/tokenize", "{" + messages + "}");
      assertEquals(
          ("user: Vote.\nassistant: " + VOTE + "\ntool: 17\nassistant:").length(),
          tokens.get("count").intValue());
    }
  }
}

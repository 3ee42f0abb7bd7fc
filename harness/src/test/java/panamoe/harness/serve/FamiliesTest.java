package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.conversation.reply.ReplyFamily;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import tools.jackson.databind.JsonNode;

/** Responses of each family with its released template, as clients get them. */
@Timeout(120)
class FamiliesTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final int CONTEXT = 6000;
  private static final String TOOLS =
      "'tools':[{'type':'function','function':{'name':'vote','description':'Counts votes.',"
          + "'parameters':{'type':'object','properties':{'side':{'enum':['ayes','noes']}},"
          + "'required':['side'],'additionalProperties':false}}},"
          + "{'type':'function','function':{'name':'adjourn','description':'Ends.'}}]";
  private static final String USER = "'messages':[{'role':'user','content':'Vote.'}]";

  private static TestServer server(ReplyFamily family, String script) throws IOException {
    EngineConfig config = new EngineConfig(700, 16, 16, 64, 0.25, true, 0);
    return new TestServer(
        family.template(),
        family.tokenizer,
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, family.tokenizer, family.tokens(script)));
  }

  /** The only choice; checks that a stream gives the same. */
  private static JsonNode choice(TestServer server, String fields) throws Exception {
    StringBuilder told = new StringBuilder();
    StringBuilder thought = new StringBuilder();
    StringBuilder calls = new StringBuilder();
    String reason = null;
    String body = "{" + USER + fields + ",'seed':1";
    for (String line : server.post(CHAT, body + ",'stream':true}").body().split("\n\n")) {
      if (line.startsWith("data: {")) {
        JsonNode choice = TestServer.json(line.substring(6)).at("/choices/0");
        JsonNode delta = choice.get("delta");
        told.append(delta.path("content").asString(""));
        thought.append(delta.path("reasoning_content").asString(""));
        for (JsonNode call : delta.path("tool_calls")) {
          calls
              .append(call.at("/function/name").asString(""))
              .append(call.at("/function/arguments").stringValue());
        }
        reason = choice.get("finish_reason").asString();
      }
    }
    JsonNode whole = server.ask(CHAT, body + "}").at("/choices/0");
    JsonNode message = whole.get("message");
    assertEquals(message.path("content").asString(""), told.toString());
    assertEquals(message.path("reasoning_content").asString(""), thought.toString());
    StringBuilder expected = new StringBuilder();
    for (JsonNode call : message.path("tool_calls")) {
      expected
          .append(call.at("/function/name").stringValue())
          .append(call.at("/function/arguments").stringValue());
    }
    assertEquals(expected.toString(), calls.toString());
    assertEquals(whole.get("finish_reason").stringValue(), reason);
    return whole;
  }

  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void aModelTalksAndCalls(ReplyFamily family) throws Exception {
    String before =
        family == ReplyFamily.GPT_OSS
            ? "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
            : family.thought().isEmpty() ? "<think>Hm.</think>" : "Hm.</think>";
    try (TestServer server = server(family, before + family.calls)) {
      JsonNode choice = choice(server, "," + TOOLS);
      JsonNode message = choice.get("message");
      assertEquals("tool_calls", choice.get("finish_reason").stringValue());
      assertEquals("Hm.", message.get("reasoning_content").stringValue());
      assertTrue(message.get("content").isNull(), message::toString);
      assertEquals("vote", message.at("/tool_calls/0/function/name").stringValue());
      assertEquals(ReplyFamily.AYES, message.at("/tool_calls/0/function/arguments").stringValue());
      assertEquals(family.two ? 2 : 1, message.get("tool_calls").size());
      if (family.two) {
        assertEquals("adjourn", message.at("/tool_calls/1/function/name").stringValue());
      }
      assertEquals(
          1,
          choice(
                  server,
                  "," + TOOLS + ",'tool_choice':{'type':'function','function':{'name':'adjourn'}}")
              .at("/message/tool_calls")
              .size());
    }
  }

  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void aCallCanBeRequiredAndAnAnswersFormToo(ReplyFamily family) throws Exception {
    try (TestServer server = server(family, "I would rather not.")) {
      Set<String> names = new TreeSet<>();
      for (int seed = 0; seed < 3; seed++) {
        JsonNode choice =
            server
                .ask(
                    CHAT,
                    "{"
                        + USER
                        + ","
                        + TOOLS
                        + ",'parallel_tool_calls':false,'tool_choice':'required','seed':"
                        + seed
                        + "}")
                .at("/choices/0");
        assertEquals("tool_calls", choice.get("finish_reason").stringValue(), choice::toString);
        names.add(choice.at("/message/tool_calls/0/function/name").stringValue());
        assertTrue(choice.at("/message/content").isNull());
      }
      assertTrue(Set.of("adjourn", "vote").containsAll(names), names::toString);
      String format =
          ",'response_format':{'type':'json_schema','json_schema':{'schema':{'const':'adopted'}}}";
      assertEquals("\"adopted\"", choice(server, format).at("/message/content").stringValue());
    }
  }

  /** A client sees no call with cut arguments, and no piece of a marker as content. */
  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void aCallThatIsCutIsNotMade(ReplyFamily family) throws Exception {
    try (TestServer server = server(family, family.thought() + family.calls)) {
      JsonNode stopped = choice(server, "," + TOOLS + ",'stop':'yes'");
      assertEquals("stop", stopped.get("finish_reason").stringValue());
      assertEquals(
          "{\"side\": \"a", stopped.at("/message/tool_calls/0/function/arguments").stringValue());
      JsonNode cut = choice(server, "," + TOOLS + ",'max_tokens':1");
      assertEquals("length", cut.get("finish_reason").stringValue());
      assertEquals("", cut.at("/message/content").stringValue());
    }
  }

  /** GPT-OSS's template renders the effort into its prompt. */
  @Test
  void anEffortIsOneOfTheFamilys() throws Exception {
    try (TestServer server = server(ReplyFamily.GPT_OSS, "")) {
      String body = "{" + USER + ",'reasoning_effort':";
      JsonNode prompt = server.ask("/apply-template", body + "'high'}").get("prompt");
      assertTrue(prompt.stringValue().contains("Reasoning: high"), prompt::toString);
      JsonNode refused = TestServer.json(server.post(CHAT, body + "'max'}").body());
      assertEquals(
          "reasoning_effort is not one of low, medium, high",
          refused.at("/error/message").stringValue());
    }
  }

  /** A marker spelled by other tokens is content. */
  @Test
  void aSpelledMarkerIsText() throws Exception {
    ReplyFamily family = ReplyFamily.MISTRAL;
    int[] spelled = family.tokenizer.encode("So: [TOOL_CALLS] it is.");
    EngineConfig config = new EngineConfig(700, 16, 16, 64, 0.25, true, 0);
    try (TestServer server =
        new TestServer(
            family.template(),
            family.tokenizer,
            CONTEXT,
            ScriptedEngine.of(config, CONTEXT, family.tokenizer, spelled))) {
      JsonNode choice = choice(server, "," + TOOLS);
      assertEquals("So: [TOOL_CALLS] it is.", choice.at("/message/content").stringValue());
      assertEquals("stop", choice.get("finish_reason").stringValue());
    }
  }

  /** The template renders calls and results in later prompts; three leave calls out. */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"GRANITE", "PHI4_MINI", "SMOLLM3"})
  void callsAreShownAgain(ReplyFamily family) throws Exception {
    try (TestServer server = server(family, family.thought() + family.calls)) {
      JsonNode call = choice(server, "," + TOOLS).at("/message/tool_calls/0");
      String id = call.get("id").stringValue();
      String body =
          "{'messages':[{'role':'user','content':'Vote.'},{'role':'assistant','content':null,"
              + "'tool_calls':["
              + call
              + "]},{'role':'tool','tool_call_id':'"
              + id
              + "','content':'17'}]}";
      String prompt = server.ask("/apply-template", body).get("prompt").stringValue();
      int name = prompt.indexOf("vote");
      assertTrue(
          name >= 0 && prompt.indexOf("ayes", name) > name && prompt.indexOf("17", name) > name,
          prompt);
      assertTrue(!prompt.contains("\\\""), prompt);
    }
  }
}

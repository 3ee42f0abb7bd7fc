package panamoe.harness.serve.ollama;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import tools.jackson.databind.JsonNode;

/** Ollama's chat. */
@Timeout(120)
class OllamaTest {
  private static final String PATH = "/api/chat";
  private static final int CONTEXT = 2000;
  private static final String USER =
      "'model':'hash','messages':[{'role':'user','content':'Vote.'}]";
  private static final String TOOLS =
      ",'tools':[{'type':'function','function':{'name':'vote','parameters':{'type':'object',"
          + "'properties':{'side':{'type':'string','enum':['ayes','noes']}},'required':['side']}}}]";
  private static final String VOTE =
      "<tool_call>{\"name\": \"vote\", \"arguments\": {\"side\": \"ayes\"}}</tool_call>";

  private static TestServer hash;

  @BeforeAll
  static void start() throws IOException {
    hash = new TestServer();
  }

  @AfterAll
  static void close() {
    hash.close();
  }

  /** Shows messages with their thoughts and calls. */
  private static TestServer server(String script) throws IOException {
    EngineConfig config = new EngineConfig(1000, 16, 16, 64, 0.25, true, 0);
    String template =
        "{% for m in messages %}<{{ m.role }}>{{ m.reasoning_content }}{{ m.content }}{% endfor %}"
            + "|{{ thinking }}|{{ reasoning_effort }}|";
    return new TestServer(
        ChatTemplate.of(template, "t", Map.of()),
        new ByteTokenizer(),
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, script));
  }

  /** The whole response; checks that the lines of a stream give the same. */
  private static JsonNode chat(TestServer server, String fields) throws Exception {
    JsonNode whole = server.ask(PATH, "{" + fields + ",'stream':false}");
    HttpResponse<String> answer = server.post(PATH, "{" + fields + "}");
    assertEquals("application/x-ndjson", answer.headers().firstValue("Content-Type").orElse(""));
    StringBuilder content = new StringBuilder();
    StringBuilder thoughts = new StringBuilder();
    List<JsonNode> lines = new ArrayList<>();
    for (String line : answer.body().split("\n")) {
      lines.add(TestServer.json(line));
      content.append(lines.getLast().at("/message/content").stringValue());
      thoughts.append(lines.getLast().at("/message/thinking").asString(""));
      assertEquals("assistant", lines.getLast().at("/message/role").stringValue());
    }
    assertEquals(whole.at("/message/content").stringValue(), content.toString());
    assertEquals(whole.at("/message/thinking").asString(""), thoughts.toString());
    assertTrue(lines.getLast().get("done").booleanValue());
    for (String field : List.of("done_reason", "eval_count", "prompt_eval_count")) {
      assertEquals(whole.get(field), lines.getLast().get(field));
    }
    JsonNode before = lines.get(Math.max(0, lines.size() - 2));
    assertFalse(lines.size() > 1 && before.has("eval_count"));
    assertEquals(whole.at("/message/tool_calls").size(), before.at("/message/tool_calls").size());
    return whole;
  }

  @Test
  void aChatIsThatOfChatCompletions() throws Exception {
    String messages =
        "'messages':[{'role':'system','content':'Hi.'},{'role':'user','content':'Vote.'}]";
    JsonNode expected =
        hash.ask(
            "/v1/chat/completions",
            "{"
                + messages
                + ",'max_tokens':20,'seed':5,'temperature':0.7,'repetition_penalty':1.1}");
    String options =
        ",'options':{'num_predict':20,'seed':5,'temperature':0.7,'repeat_penalty':1.1,'num_ctx':4096},"
            + "'keep_alive':'5m'";
    JsonNode whole = chat(hash, "'model':'hash'," + messages + options);
    assertEquals(expected.at("/choices/0/message/content"), whole.at("/message/content"));
    assertEquals(expected.at("/usage/prompt_tokens"), whole.get("prompt_eval_count"));
    assertEquals(expected.at("/usage/completion_tokens"), whole.get("eval_count"));
    assertTrue(whole.get("total_duration").longValue() >= whole.get("eval_duration").longValue());
    assertEquals("hash", whole.get("model").stringValue());
  }

  @Test
  void endsAndFormats() throws Exception {
    try (TestServer server = server("Aye, and noe.")) {
      assertEquals("stop", chat(server, USER).get("done_reason").stringValue());
      JsonNode cut = chat(server, USER + ",'options':{'num_predict':3}");
      assertEquals("Aye", cut.at("/message/content").stringValue());
      assertEquals("length", cut.get("done_reason").stringValue());
      JsonNode stopped = chat(server, USER + ",'options':{'stop':[', '],'num_predict':-1}");
      assertEquals("Aye", stopped.at("/message/content").stringValue());
      JsonNode json = chat(server, USER + ",'format':{'const':'adopted'}");
      assertEquals("\"adopted\"", json.at("/message/content").stringValue());
      JsonNode any = chat(server, USER + ",'format':'json','options':{'seed':1,'num_predict':300}");
      assertTrue(any.at("/message/content").stringValue().startsWith("{"));
    }
  }

  @Test
  void callsAndTheirResultsNeedNoIds() throws Exception {
    try (TestServer server = server("Well. " + VOTE + VOTE)) {
      JsonNode whole = chat(server, USER + TOOLS);
      assertEquals("Well. ", whole.at("/message/content").stringValue());
      assertEquals(2, whole.at("/message/tool_calls").size());
      JsonNode call = whole.at("/message/tool_calls/1/function");
      assertEquals("vote", call.get("name").stringValue());
      assertEquals(1, call.get("index").intValue());
      assertEquals("{\"side\":\"ayes\"}", call.get("arguments").toString());
      assertEquals("stop", whole.get("done_reason").stringValue());
      String then =
          "'messages':[{'role':'user','content':'Vote.'},"
              + whole.get("message").toString()
              + ",{'role':'tool','content':'17','tool_name':'vote'},"
              + "{'role':'tool','content':'18','tool_name':'vote'}]";
      assertEquals(
          "<user>Vote.<assistant>Well. <tool>17<tool>18|||".length(),
          chat(server, then + TOOLS).get("prompt_eval_count").intValue());
    }
  }

  @Test
  void thoughtsAreApart() throws Exception {
    try (TestServer server = server("<think>Let me see.</think>Aye.")) {
      JsonNode whole = chat(server, USER + ",'think':true");
      assertEquals("Let me see.", whole.at("/message/thinking").stringValue());
      assertEquals("Aye.", whole.at("/message/content").stringValue());
      assertEquals("<user>Vote.|True||".length(), whole.get("prompt_eval_count").intValue());
      assertEquals(
          "<user>Vote.|False||".length(),
          chat(server, USER + ",'think':false").get("prompt_eval_count").intValue());
      assertEquals(
          "<user>Vote.|True|low|".length(),
          chat(server, USER + ",'think':'low'").get("prompt_eval_count").intValue());
      String back = "'messages':[{'role':'assistant','content':'A','thinking':'Hm'}]";
      assertEquals(
          "<assistant>HmA|||".length(), chat(server, back).get("prompt_eval_count").intValue());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'messages':[{'role':'user','content':'x','images':['aGk=']}]"
            + "| messages[0].images is not supported",
        "'messages':[{'role':'tool','content':'x','tool_name':'vote'}]"
            + "| messages[0].tool_name names no call in a message before that waits",
        "'messages':[{'role':'assistant','content':'','tool_calls':[{'function':{'name':'a','arguments':'{}'}}]}]"
            + "| messages[0].tool_calls[0].function.arguments is not an object",
        "'messages':7 | messages is not an array of one message or more",
        "'messages':[],'format':'xml' | format is neither json nor a schema",
        "'messages':[],'think':'hard' | messages is not an array of one message or more",
        "'messages':[{'role':'user','content':'x'}],'think':'hard' | think is not one of",
        "'messages':[{'role':'user','content':'x'}],'options':{'temperature':'x'}"
            + "| options.temperature is not a number",
        "'messages':[{'role':'user','content':'x'}],'options':{'mirostat':2}"
            + "| there is no field options.mirostat",
        "'messages':[{'role':'user','content':'x'}],'logprobs':true | there is no field logprobs",
      })
  void wrongFields(String fields, String reason) throws Exception {
    HttpResponse<String> answer = hash.post(PATH, "{" + fields + "}");
    assertEquals(400, answer.statusCode(), answer::body);
    String told = TestServer.json(answer.body()).get("error").stringValue();
    assertTrue(told.startsWith(reason), told);
  }

  @Test
  void errorsAndModelsHaveOllamasForm() throws Exception {
    HttpResponse<String> none = hash.post(PATH, "{'model':'llama','messages':[]}");
    assertEquals(404, none.statusCode());
    assertTrue(TestServer.json(none.body()).get("error").stringValue().contains("no model llama"));
    HttpResponse<String> failed =
        hash.post(
            PATH, "{'messages':[{'role':'user','content':'a~'}],'options':{'num_predict':9}}");
    String[] lines = failed.body().split("\n");
    assertTrue(TestServer.json(lines[lines.length - 1]).get("error").isString(), failed::body);
    assertEquals(
        TestServer.quoted(
            "{'models':[{'name':'hash','model':'hash','modified_at':'2023-11-14T22:13:20Z',"
                + "'digest':'fp_hash'}]}"),
        hash.get("/api/tags").body());
  }

  @Test
  void embeddings() throws Exception {
    String fields = "'model':'hash','input':['the cat','a hat'],'dimensions':3";
    JsonNode expected = hash.ask("/v1/embeddings", "{" + fields + "}");
    JsonNode told = hash.ask("/api/embed", "{" + fields + ",'truncate':true,'keep_alive':0}");
    for (int i = 0; i < 2; i++) {
      assertEquals(expected.at("/data/" + i + "/embedding"), told.get("embeddings").get(i));
    }
    assertEquals(expected.at("/usage/prompt_tokens"), told.get("prompt_eval_count"));
    HttpResponse<String> empty = hash.post("/api/embed", "{'input':''}");
    assertEquals(400, empty.statusCode());
    assertEquals(
        "input has an empty text", TestServer.json(empty.body()).get("error").stringValue());
  }

  /** A stream that waits has blanks before its next line, and one that is left frees the cache. */
  @Test
  void aStreamThatWaitsAndOneThatIsLeft() throws Exception {
    Limits pinging = TestServer.limits(16, 256, Duration.ofSeconds(30), Duration.ofMillis(50));
    String fields = "{" + USER + ",'ignore_eos':true,'options':{'num_predict':";
    try (TestServer slow = new TestServer(pinging, ApiKeys.NONE, () -> TestServer.pause(200))) {
      String body = slow.post(PATH, fields + "2}}").body();
      assertTrue(body.startsWith("  "), body);
      assertTrue(TestServer.json(body.split("\n")[0]).has("message"));
    }
    try (Socket socket = hash.raw(PATH, fields + "350}}")) {
      byte[] bytes = new byte[1 << 12];
      String read = "";
      while (!read.contains("\"done\":false")) {
        read += new String(bytes, 0, socket.getInputStream().read(bytes));
      }
    }
    hash.awaitIdle();
  }
}

package panamoe.harness.serve.messages;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import tools.jackson.databind.JsonNode;

/** Anthropic's Messages API. */
@Timeout(120)
class MessagesTest {
  private static final String PATH = "/v1/messages";
  private static final String COUNT = PATH + "/count_tokens";
  private static final int CONTEXT = 6000;
  private static final String USER = "'messages':[{'role':'user','content':'Vote.'}]";
  private static final String TOOLS =
      ",'tools':[{'name':'vote','description':'Counts votes.','input_schema':{'type':'object',"
          + "'properties':{'side':{'enum':['ayes','noes']}},'required':['side'],"
          + "'additionalProperties':false},'cache_control':{'type':'ephemeral'}},"
          + "{'type':'custom','name':'adjourn','input_schema':{'type':'object',"
          + "'additionalProperties':false}}]";
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

  private static TestServer server(String script) throws IOException {
    EngineConfig config = new EngineConfig(1000, 16, 16, 64, 0.25, true, 0);
    return new TestServer(new ByteTokenizer(), CONTEXT, ScriptedEngine.of(config, CONTEXT, script));
  }

  private static TestServer server(String template, String script) throws IOException {
    EngineConfig config = new EngineConfig(1000, 16, 16, 64, 0.25, true, 0);
    return new TestServer(
        ChatTemplate.of(template, "t", Map.of()),
        new ByteTokenizer(),
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, script));
  }

  /** The events of a stream, each checked to have the name of its type. */
  private static List<JsonNode> events(TestServer server, String fields) throws Exception {
    String body = server.post(PATH, "{" + fields + ",'stream':true}").body();
    List<JsonNode> events = new ArrayList<>();
    for (String event : body.split("\n\n")) {
      if (event.startsWith("event: ")) {
        String[] lines = event.split("\n");
        JsonNode data = TestServer.json(lines[1].substring("data: ".length()));
        assertEquals("event: " + data.get("type").stringValue(), lines[0]);
        events.add(data);
      }
    }
    return events;
  }

  /** The response; checks that a stream gives the same. */
  private static JsonNode message(TestServer server, String fields) throws Exception {
    JsonNode whole = server.ask(PATH, "{" + fields + "}");
    assertEquals("message", whole.get("type").stringValue());
    assertEquals("assistant", whole.get("role").stringValue());
    assertTrue(whole.get("id").stringValue().startsWith("msg_"));
    List<JsonNode> events = events(server, fields);
    List<String> order = events.stream().map(event -> event.get("type").stringValue()).toList();
    assertEquals(List.of("message_start", "ping"), order.subList(0, 2));
    assertEquals(
        List.of("message_delta", "message_stop"), order.subList(order.size() - 2, order.size()));
    JsonNode begun = events.getFirst().get("message");
    assertTrue(begun.get("stop_reason").isNull());
    assertEquals(0, begun.get("content").size());
    List<String> blocks = new ArrayList<>();
    for (JsonNode event : events.subList(2, events.size() - 2)) {
      int index = event.get("index").intValue();
      switch (event.get("type").stringValue()) {
        case "content_block_start" -> {
          assertEquals(blocks.size(), index);
          JsonNode block = event.get("content_block");
          blocks.add(block.get("type").stringValue() + " " + block.path("name").asString(""));
        }
        case "content_block_delta" -> {
          JsonNode delta = event.get("delta");
          String piece =
              switch (delta.get("type").stringValue()) {
                case "text_delta" -> delta.get("text").stringValue();
                case "thinking_delta" -> delta.get("thinking").stringValue();
                case "signature_delta" -> " " + delta.get("signature").stringValue();
                default -> delta.get("partial_json").stringValue();
              };
          blocks.set(index, blocks.get(index) + piece);
        }
        default -> {
          assertEquals("content_block_stop", event.get("type").stringValue());
          assertEquals(blocks.size() - 1, index);
        }
      }
    }
    List<String> expected = new ArrayList<>();
    for (JsonNode block : whole.get("content")) {
      String type = block.get("type").stringValue();
      expected.add(
          type
              + " "
              + switch (type) {
                case "text" -> block.get("text").stringValue();
                case "thinking" ->
                    block.get("thinking").stringValue()
                        + " "
                        + block.get("signature").stringValue();
                default -> block.get("name").stringValue() + block.get("input");
              });
    }
    // A model writes spaces in its JSON.
    assertEquals(expected, blocks.stream().map(MessagesTest::withoutSpaces).toList());
    JsonNode end = events.get(events.size() - 2);
    assertEquals(whole.get("stop_reason"), end.at("/delta/stop_reason"));
    assertEquals(whole.get("stop_sequence"), end.at("/delta/stop_sequence"));
    assertEquals(whole.at("/usage/output_tokens"), end.at("/usage/output_tokens"));
    return whole;
  }

  private static String withoutSpaces(String block) {
    return block.startsWith("tool_use") ? block.replace("\": \"", "\":\"") : block;
  }

  private static JsonNode refused(int status, String type, HttpResponse<String> answer)
      throws IOException {
    assertEquals(status, answer.statusCode(), answer::body);
    JsonNode body = TestServer.json(answer.body());
    assertEquals("error", body.get("type").stringValue());
    assertEquals(type, body.at("/error/type").stringValue());
    return body.at("/error/message");
  }

  @Test
  void textEndsAtTheModelsEndAtStopSequencesAndAtTheLimit() throws Exception {
    try (TestServer server = server("Seventeen ayes.")) {
      JsonNode whole = message(server, USER + ",'max_tokens':40");
      assertEquals("Seventeen ayes.", whole.at("/content/0/text").stringValue());
      assertEquals("end_turn", whole.get("stop_reason").stringValue());
      assertTrue(whole.get("stop_sequence").isNull());
      assertEquals(15, whole.at("/usage/output_tokens").intValue());
      JsonNode stopped =
          message(server, USER + ",'max_tokens':40,'stop_sequences':['noes',' ayes']");
      assertEquals("Seventeen", stopped.at("/content/0/text").stringValue());
      assertEquals("stop_sequence", stopped.get("stop_reason").stringValue());
      assertEquals(" ayes", stopped.get("stop_sequence").stringValue());
      JsonNode cut = message(server, USER + ",'max_tokens':4");
      assertEquals("Seve", cut.at("/content/0/text").stringValue());
      assertEquals("max_tokens", cut.get("stop_reason").stringValue());
      assertEquals(0, message(server, USER + ",'max_tokens':0").get("content").size());
    }
    try (TestServer server =
        server("Aye.\nuser: and")) { // a stop string of the lines, not the request's
      assertEquals(
          "end_turn", message(server, USER + ",'max_tokens':40").get("stop_reason").stringValue());
    }
  }

  @Test
  void theTokensOfAPromptAreCountedAndThoseOfTheCacheApart() throws Exception {
    String prompt = "user: " + "x".repeat(90) + "\nassistant:";
    String fields = "'messages':[{'role':'user','content':'" + "x".repeat(90) + "'}]";
    assertEquals(
        prompt.length(), hash.ask(COUNT, "{" + fields + "}").get("input_tokens").intValue());
    String request = "{" + fields + ",'max_tokens':3,'ignore_eos':true}";
    assertEquals(prompt.length(), hash.ask(PATH, request).at("/usage/input_tokens").intValue());
    JsonNode again = hash.ask(PATH, request).get("usage");
    assertEquals(96, again.get("cache_read_input_tokens").intValue());
    assertEquals(prompt.length() - 96, again.get("input_tokens").intValue());
  }

  /** The same text as by chat completions. */
  @Test
  void aMessageIsAChat() throws Exception {
    String common = USER + ",'max_tokens':30,'temperature':0.9,'top_p':0.9,'top_k':20,'seed':3}";
    JsonNode chat = hash.ask("/v1/chat/completions", "{" + common);
    for (String path : List.of(PATH, PATH + "?beta=true")) {
      assertEquals(
          chat.at("/choices/0/message/content"),
          hash.ask(path, "{" + common).at("/content/0/text"));
    }
  }

  @Test
  void callsAreBlocks() throws Exception {
    try (TestServer server = server("Let me see. " + VOTE + VOTE)) {
      JsonNode whole = message(server, USER + TOOLS + ",'max_tokens':300");
      assertEquals("tool_use", whole.get("stop_reason").stringValue());
      assertEquals(3, whole.get("content").size());
      assertEquals("{\"side\":\"ayes\"}", whole.at("/content/1/input").toString());
      String one = ",'tool_choice':{'type':'auto','disable_parallel_tool_use':true}";
      JsonNode alone = message(server, USER + TOOLS + one + ",'max_tokens':300");
      assertEquals(2, alone.get("content").size());
      String none = ",'tool_choice':{'type':'none'}";
      JsonNode text = message(server, USER + TOOLS + none + ",'max_tokens':300");
      assertEquals("Let me see. " + VOTE + VOTE, text.at("/content/0/text").stringValue());
      JsonNode cut = server.ask(PATH, "{" + USER + TOOLS + ",'max_tokens':58}");
      assertEquals("max_tokens", cut.get("stop_reason").stringValue());
      assertEquals("{}", cut.at("/content/1/input").toString());
    }
  }

  @Test
  void aCallCanBeAskedFor() throws Exception {
    try (TestServer server = server("I would rather not.")) {
      String any = USER + TOOLS + ",'max_tokens':300,'seed':1,'tool_choice':{'type':'any'}";
      assertEquals("tool_use", message(server, any).at("/content/0/type").stringValue());
      String named = USER + TOOLS + ",'max_tokens':300,'tool_choice':{'type':'tool','name':'vote'}";
      assertEquals("vote", server.ask(PATH, "{" + named + "}").at("/content/0/name").stringValue());
    }
  }

  /** Thoughts, and their variables of the template. */
  @Test
  void thoughtsAreBlocksToo() throws Exception {
    String template =
        "{{ messages[0].content }}|{{ enable_thinking }}|{{ thinking }}|{{ reasoning_effort }}|";
    try (TestServer server = server(template, "<think>Let me see.</think>Aye. " + VOTE)) {
      String fields = USER + TOOLS + ",'max_tokens':300";
      JsonNode whole = message(server, fields + ",'thinking':{'type':'adaptive'}");
      assertEquals("Let me see.", whole.at("/content/0/thinking").stringValue());
      assertFalse(whole.at("/content/0/signature").stringValue().isEmpty());
      assertEquals("Aye. ", whole.at("/content/1/text").stringValue());
      assertEquals("vote", whole.at("/content/2/name").stringValue());
      assertTrue(whole.at("/usage/output_tokens_details/thinking_tokens").intValue() > 11);
      JsonNode hidden =
          message(server, fields + ",'thinking':{'type':'adaptive','display':'omitted'}");
      assertEquals("", hidden.at("/content/0/thinking").stringValue());
      assertEquals(whole.at("/content/0/signature"), hidden.at("/content/0/signature"));
      int plain = count(server, "");
      // "True" twice, "False" twice, and a word
      assertEquals(plain + 8, count(server, ",'thinking':{'type':'enabled','budget_tokens':1024}"));
      assertEquals(plain + 10, count(server, ",'thinking':{'type':'disabled'}"));
      assertEquals(plain + 4, count(server, ",'output_config':{'effort':'high'}"));
    }
  }

  private static int count(TestServer server, String fields) throws Exception {
    return server.ask(COUNT, "{" + USER + fields + "}").get("input_tokens").intValue();
  }

  @Test
  void anAnswerKeepsToAFormat() throws Exception {
    String format = "{'type':'json_schema','schema':{'const':'adopted'}}";
    try (TestServer server = server("Rejected, I fear.")) {
      for (String asked :
          List.of("'output_config':{'format':" + format + "}", "'output_format':" + format)) {
        JsonNode whole = message(server, USER + ",'max_tokens':40," + asked);
        assertEquals("\"adopted\"", whole.at("/content/0/text").stringValue());
      }
    }
  }

  /**
   * Schemas of clients have keywords that a grammar cannot follow; with strict they are refused.
   */
  @Test
  void schemasThatCannotBeFollowedOnlyAdvise() throws Exception {
    String tool =
        ",'tools':[{'name':'fetch','strict':%s,'input_schema':{'type':'object','properties':"
            + "{'url':{'type':'string','format':'uri'},'by':{'type':'object','propertyNames':"
            + "{'type':'string'},'additionalProperties':{'type':'string'}}},'required':['url']}}]";
    String fields = USER + ",'max_tokens':200";
    try (TestServer server = server(VOTE.replace("vote", "fetch").replace("side", "url"))) {
      assertTrue(
          server
              .ask(PATH, "{" + fields + tool.formatted(false) + "}")
              .at("/content/0/input")
              .has("url"));
      JsonNode reason =
          refused(
              400,
              "invalid_request_error",
              server.post(PATH, "{" + fields + tool.formatted(true) + "}"));
      assertTrue(reason.stringValue().contains("\"uri\" is not supported"), reason::toString);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'n':2 | n is not supported",
        "'stop':['x'] | there is no field stop",
        "'response_format':{'type':'json_object'},'output_format':{'type':'text'}"
            + "| there is no field response_format",
        "'stop_sequences':[''] | stop_sequences has an empty string",
        "'metadata':{'user_id':7} | metadata.user_id is not a string",
        "'metadata':{'mail':'x'} | there is no field metadata.mail",
        "'thinking':{'type':'between_tools'} | thinking.type is none of enabled, adaptive and disabled",
        "'thinking':{'type':'enabled','display':'all'} | thinking.display is neither summarized nor omitted",
        "'container':'c' | there is no field container",
        "'mcp_servers':[{}] | there is no field mcp_servers",
        "'context_management':{'edits':[{'type':'clear_tool_uses_20250919'}]}"
            + "| context_management.edits[0].type is not supported, except clear_thinking",
        "'output_config':{'effort':'hard'} | output_config.effort is not one of",
        "'output_config':{'format':{'type':'xml'}}"
            + "| output_config.format.type is none of text, json_object and json_schema",
        "'tools':[{'type':'web_search_20250305','name':'web_search'}]"
            + "| tools[0].type is web_search_20250305: this server has no tools of its own",
        "'tools':[{'name':'a b','input_schema':{'type':'object'}}]"
            + "| tools[0].name is not 1 to 64 letters",
        "'tools':[{'name':'a'}] | tools[0].input_schema is missing",
        "'tools':[{'name':'a','input_schema':{'type':'array'}}]"
            + "| tools[0].input_schema is not a schema of the type object",
        "'tools':[{'name':'a','input_schema':{'type':'object'},'defer_loading':true}]"
            + "| tools[0].defer_loading is not supported, except as false",
        "'tool_choice':{'type':'any'} | tool_choice requires a call, but tools are missing",
        "'tool_choice':{'type':'tool'} | tool_choice.name is missing",
        "'tool_choice':{'type':'tool','name':'a'} | tool_choice names a function that is not in tools",
        "'tool_choice':'auto' | tool_choice is not an object",
        "'max_tokens':null | max_tokens is null",
        "'temperature':101 | temperature is 101",
      })
  void wrongFields(String fields, String reason) throws Exception {
    String most = fields.contains("max_tokens") ? "" : ",'max_tokens':3";
    JsonNode told =
        refused(
            400, "invalid_request_error", hash.post(PATH, "{" + USER + most + "," + fields + "}"));
    assertTrue(told.stringValue().startsWith(reason), told::toString);
  }

  @Test
  void errorsHaveAnthropicsForm() throws Exception {
    String ask = "{" + USER + ",'max_tokens':3";
    refused(400, "invalid_request_error", hash.post(PATH, "{"));
    refused(400, "invalid_request_error", hash.post(PATH, "{" + USER + "}"));
    refused(404, "not_found_error", hash.post(PATH, ask + ",'model':'claude'}"));
    refused(404, "not_found_error", hash.post(COUNT, "{" + USER + ",'model':'claude'}"));
    refused(405, "invalid_request_error", hash.get(PATH));
    refused(413, "request_too_large", hash.post(PATH, "{'system':'" + "x".repeat(1 << 20) + "'}"));
    HttpResponse<String> thread = hash.post(PATH, ask + ",'thread':{'type':'create'}}");
    refused(400, "invalid_request_error", thread);
    assertEquals( // asks clients to send the whole conversation
        "thread_unsupported_request",
        TestServer.json(thread.body()).at("/error/details/error_code").stringValue());
    HttpRequest batches = version(hash, PATH + "/batches").build();
    HttpResponse<String> none = hash.send(batches);
    refused(404, "not_found_error", none);
    String id = none.headers().firstValue("request-id").orElseThrow();
    assertEquals(id, TestServer.json(none.body()).get("request_id").stringValue());
  }

  private static HttpRequest.Builder version(TestServer server, String path) {
    return server
        .to(path)
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", "a,b");
  }

  @Test
  void anErrorInAStreamIsAnEvent() throws Exception {
    List<JsonNode> events =
        events(hash, "'messages':[{'role':'user','content':'a~'}],'max_tokens':30");
    assertEquals("error", events.getLast().get("type").stringValue());
    assertEquals("api_error", events.getLast().at("/error/type").stringValue());
  }

  @Test
  void keysOfAnthropicsClients(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("keys"), "first\nsecond\n");
    String ask = TestServer.quoted("{" + USER + "}");
    try (TestServer locked = new TestServer(TestServer.LIMITS, ApiKeys.read(file), () -> {})) {
      refused(401, "authentication_error", locked.post(COUNT, ask));
      for (String[] header :
          new String[][] {{"x-api-key", "second"}, {"Authorization", "Bearer first"}}) {
        HttpRequest.Builder request = version(locked, COUNT).header(header[0], header[1]);
        assertEquals(
            200, locked.send(request.POST(BodyPublishers.ofString(ask)).build()).statusCode());
      }
      HttpRequest wrong = version(locked, "/v1/models").header("x-api-key", "third").build();
      refused(401, "authentication_error", locked.send(wrong));
    }
  }

  @Test
  void modelsForAnthropicsClients() throws Exception {
    String info =
        "{'type':'model','id':'hash','display_name':'hash','created_at':'2023-11-14T22:13:20Z',"
            + "'max_input_tokens':400}";
    assertEquals(
        TestServer.quoted(
            "{'data':[" + info + "],'has_more':false,'first_id':'hash','last_id':'hash'}"),
        hash.send(version(hash, "/v1/models").build()).body());
    assertEquals(
        TestServer.quoted(info), hash.send(version(hash, "/v1/models/hash").build()).body());
    refused(404, "not_found_error", hash.send(version(hash, "/v1/models/claude").build()));
  }

  /** A client that leaves frees the cache, and changes no later answer. */
  @Test
  void aCutStreamLeavesNothingBehind() throws Exception {
    String fields = "{" + USER + ",'seed':9,'ignore_eos':true,'max_tokens':";
    JsonNode before = hash.ask(PATH, fields + "20}").get("content");
    try (Socket socket = hash.raw(PATH, fields + "350,'stream':true}")) {
      byte[] bytes = new byte[1 << 12];
      String read = "";
      while (!read.contains("content_block_delta")) {
        read += new String(bytes, 0, socket.getInputStream().read(bytes));
      }
    }
    hash.awaitIdle();
    assertEquals(before, hash.ask(PATH, fields + "20}").get("content"));
  }

  /** A coding agent's second request, in the form in which its library sends it. */
  @Test
  void anAgentsConversation() throws Exception {
    String body =
        new String(MessagesTest.class.getResourceAsStream("agent-messages.json").readAllBytes());
    String template =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
            + "{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %}{% endfor %}"
            + "{{ tools | length if tools else '' }}";
    String call =
        "<tool_call>{\"name\": \"Edit\", \"arguments\": {\"file_path\": \"/src/Votes.java\","
            + " \"old_string\": \"a\", \"new_string\": \"b\"}}</tool_call>";
    try (TestServer server = server(template, call)) {
      HttpRequest request =
          version(server, PATH + "?beta=true").POST(BodyPublishers.ofString(body)).build();
      HttpResponse<String> answer = server.send(request);
      assertEquals(200, answer.statusCode(), answer::body);
      assertTrue(answer.body().contains("\"name\":\"Edit\""), answer::body);
      assertTrue(answer.body().contains("\"stop_reason\":\"tool_use\""), answer::body);
      assertNotEquals(-1, answer.body().indexOf("event: message_stop"));
    }
  }
}

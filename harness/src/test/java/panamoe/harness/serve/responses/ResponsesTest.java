package panamoe.harness.serve.responses;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.ApiKeys;
import tools.jackson.databind.JsonNode;

/** Responses, their items and events, and those that continue each other. */
@Timeout(120)
class ResponsesTest {
  private static final String PATH = "/v1/responses";
  private static final String CHAT = "/v1/chat/completions";
  private static final int CONTEXT = 1600;
  private static final String VOTE =
      "<tool_call>{\"name\": \"vote\", \"arguments\": {\"side\": \"ayes\"}}</tool_call>";
  private static final String TOOLS =
      "'tools':[{'type':'function','name':'vote','description':null,'strict':true,'parameters':"
          + "{'type':'object','properties':{'side':{'enum':['ayes','noes']}},'required':['side'],"
          + "'additionalProperties':false}}]";
  private static final String CALLED =
      "{'type':'function_call','id':'fc_1','call_id':'c1','name':'vote',"
          + "'arguments':'{\\'side\\': \\'ayes\\'}','status':'completed'}".replace("\\'", "\\\"");
  private static final String TOLD = "{'type':'function_call_output','call_id':'c1','output':'17'}";

  @TempDir private Path folder;

  private static TestServer thinker(String script) throws IOException {
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    return new TestServer(
        ChatTemplate.of("{{ messages[0].content }}:", "t", Map.of()),
        new ByteTokenizer(),
        CONTEXT,
        ScriptedEngine.of(config, CONTEXT, script));
  }

  /** The events of a stream, each with its own name. */
  private static List<JsonNode> events(TestServer server, String body) throws Exception {
    HttpResponse<String> answer = server.post(PATH, body);
    assertEquals(200, answer.statusCode(), answer::body);
    List<JsonNode> events = new ArrayList<>();
    for (String event : answer.body().split("\n\n")) {
      if (!event.equals(":")) {
        String[] lines = event.split("\n");
        JsonNode data = TestServer.json(lines[1].substring("data: ".length()));
        assertEquals("event: " + data.get("type").stringValue(), lines[0]);
        assertEquals(events.size(), data.get("sequence_number").intValue());
        events.add(data);
      }
    }
    return events;
  }

  /** The types of events; equal ones that follow each other count once. */
  private static String types(List<JsonNode> events) {
    List<String> types = new ArrayList<>();
    for (JsonNode event : events) {
      String type = event.get("type").stringValue().replace("response.", "");
      if (types.isEmpty() || !types.getLast().equals(type)) {
        types.add(type);
      }
    }
    return String.join(" ", types);
  }

  private static String deltas(List<JsonNode> events, String type) {
    StringBuilder text = new StringBuilder();
    events.stream()
        .filter(event -> event.get("type").stringValue().equals("response." + type + ".delta"))
        .forEach(event -> text.append(event.get("delta").stringValue()));
    return text.toString();
  }

  /** Without what is new in each response. */
  private static String timeless(JsonNode response) {
    return response
        .toString()
        .replaceAll("[0-9a-f]{32}", "ID")
        .replaceAll("call_[0-9a-f]{24}", "CALL")
        .replaceAll("\"(created_at|cached_tokens)\":[0-9]+", "\"$1\":1");
  }

  @Test
  void everyEventOfThoughtsATextAndACallInOrder() throws Exception {
    try (TestServer server = thinker("<think>Let me see.</think>Aye. " + VOTE)) {
      String body = "{'input':'Vote.'," + TOOLS + ",'seed':1";
      JsonNode whole = server.ask(PATH, body + "}");
      List<JsonNode> events = events(server, body + ",'stream':true}");
      String text = "output_item.added content_part.added %1$s.delta %1$s.done content_part.done";
      assertEquals(
          "created in_progress "
              + text.formatted("reasoning_text")
              + " output_item.done "
              + text.formatted("output_text")
              + " output_item.done output_item.added function_call_arguments.delta"
              + " function_call_arguments.done output_item.done completed",
          types(events));
      JsonNode last = events.getLast().get("response");
      assertEquals(timeless(whole), timeless(last));
      List<JsonNode> done =
          events.stream()
              .filter(event -> event.get("type").stringValue().equals("response.output_item.done"))
              .map(event -> event.get("item"))
              .toList();
      assertEquals(done, List.copyOf(last.get("output").values()));
      assertEquals("Let me see.", deltas(events, "reasoning_text"));
      assertEquals("Let me see.", last.at("/output/0/content/0/text").stringValue());
      assertEquals("Aye. ", deltas(events, "output_text"));
      assertEquals("Aye. ", last.at("/output/1/content/0/text").stringValue());
      assertEquals("{\"side\": \"ayes\"}", deltas(events, "function_call_arguments"));
      assertEquals("{\"side\": \"ayes\"}", last.at("/output/2/arguments").stringValue());
      assertTrue(last.at("/output/2/call_id").stringValue().startsWith("call_"));
      assertEquals("completed", last.get("status").stringValue());
      assertEquals("in_progress", events.getFirst().at("/response/status").stringValue());
      assertEquals(0, events.getFirst().at("/response/output").size());
      assertTrue(last.at("/usage/output_tokens_details/reasoning_tokens").intValue() > 11);
      assertEquals("vote", last.at("/tools/0/name").stringValue());
    }
  }

  @Test
  void whoAsksForASummaryGetsThoughtsAsOne() throws Exception {
    try (TestServer server = thinker("<think>Hm.</think>Aye.")) {
      String body = "{'input':'Vote.','reasoning':{'effort':'low','summary':'auto'}";
      List<JsonNode> events = events(server, body + ",'stream':true}");
      assertTrue(
          types(events)
              .contains(
                  "output_item.added reasoning_summary_part.added reasoning_summary_text.delta"
                      + " reasoning_summary_text.done reasoning_summary_part.done output_item.done"),
          () -> types(events));
      JsonNode item = events.getLast().at("/response/output/0");
      assertEquals("summary_text", item.at("/summary/0/type").stringValue());
      assertEquals("Hm.", item.at("/summary/0/text").stringValue());
      assertFalse(item.has("content"));
    }
  }

  /** Whatever form the items have, the same chat has the prompt. */
  @Test
  void itemsAreTheMessagesOfAChat() throws Exception {
    try (TestServer server = new TestServer()) {
      String chat =
          "{'messages':[{'role':'system','content':'be kind'},{'role':'user','content':'hello'},"
              + "{'role':'assistant','content':'yes'},{'role':'user','content':'more'}]";
      String items =
          "{'instructions':'be kind','input':[{'role':'user','content':"
              + "[{'type':'input_text','text':'hel'},{'type':'input_text','text':'lo'}]},"
              + "{'type':'message','role':'assistant','id':'msg_1','status':'completed','content':"
              + "[{'type':'output_text','text':'yes','annotations':[],'logprobs':[]}]},"
              + "{'type':'message','role':'user','content':'more'}]";
      JsonNode answer = server.ask(CHAT, chat + ",'seed':3,'max_tokens':20}");
      JsonNode response = server.ask(PATH, items + ",'seed':3,'max_output_tokens':20}");
      assertEquals(
          answer.at("/choices/0/message/content"), response.at("/output/0/content/0/text"));
      assertEquals(
          answer.at("/usage/prompt_tokens").intValue(),
          response.at("/usage/input_tokens").intValue());
      assertEquals("be kind", response.get("instructions").stringValue());
      assertTrue(response.get("id").stringValue().startsWith("resp_"));
    }
  }

  @Test
  void aResponseContinuesAnother() throws Exception {
    try (TestServer server = new TestServer()) {
      String end = ",'seed':5,'max_output_tokens':12,'ignore_eos':true}";
      JsonNode first = server.ask(PATH, "{'input':'hello'" + end);
      String id = first.get("id").stringValue();
      JsonNode item = first.at("/output/0");
      String more = "{'previous_response_id':'" + id + "','instructions':'be kind','input':'on'";
      JsonNode chained = server.ask(PATH, more + end);
      String input =
          "{'instructions':'be kind','input':[{'role':'user','content':'hello'},%s,"
              + "{'role':'user','content':'on'}]"
              + end;
      JsonNode whole = server.ask(PATH, input.formatted(item));
      assertEquals(whole.at("/output/0/content/0/text"), chained.at("/output/0/content/0/text"));
      assertEquals(id, chained.get("previous_response_id").stringValue());
      JsonNode referred =
          server.ask(
              PATH, input.formatted("{'type':'item_reference','id':" + item.get("id") + "}"));
      assertEquals(whole.at("/output/0/content/0/text"), referred.at("/output/0/content/0/text"));
      assertEquals(first, TestServer.json(server.get(PATH + "/" + id).body()));
      JsonNode items = TestServer.json(server.get(PATH + "/" + id + "/input_items").body());
      assertEquals("hello", items.at("/data/0/content/0/text").stringValue());
      assertEquals(items.get("first_id"), items.at("/data/0/id"));
      HttpResponse<String> deleted = server.send(server.to(PATH + "/" + id).DELETE().build());
      assertTrue(TestServer.json(deleted.body()).get("deleted").booleanValue());
      for (HttpResponse<String> gone :
          List.of(server.get(PATH + "/" + id), server.post(PATH, more + end))) {
        assertEquals(404, gone.statusCode());
        JsonNode error = TestServer.json(gone.body()).get("error");
        assertEquals("response_not_found", error.get("code").stringValue());
        assertTrue(error.get("message").stringValue().contains(id), error::toString);
      }
    }
  }

  /** All references to a response read it once: together with another request they fit. */
  @Test
  void referencesTakeTheMemoryOfTheirItems() throws Exception {
    try (TestServer server = new TestServer();
        Socket _ = server.raw(CHAT, "{'prompt':'" + "x".repeat(500_000), 400_000)) {
      String large =
          "{'type':'message','role':'assistant','content':[{'type':'output_text','text':'b',"
              + "'annotations':["
              + "{},".repeat(9_999)
              + "{}]}]}";
      JsonNode kept =
          server.ask(
              PATH,
              "{'input':[{'role':'user','content':'a'}," + large + "],'max_output_tokens':1}");
      String id = kept.get("id").stringValue().replace("resp_", "msg_") + "_in0";
      String reference = "{'type':'item_reference','id':'" + id + "'},";
      JsonNode answer =
          server.ask(
              PATH,
              "{'truncation':'auto','max_output_tokens':1,'input':["
                  + reference.repeat(199)
                  + "{'role':'user','content':'b'}]}");
      assertEquals(
          "a",
          TestServer.json(
                  server
                      .get(PATH + "/" + answer.get("id").stringValue() + "/input_items?order=asc")
                      .body())
              .at("/data/0/content")
              .stringValue());
    }
  }

  @Test
  void whatIsNotStoredCannotBeContinued() throws Exception {
    try (TestServer server = new TestServer()) {
      JsonNode once = server.ask(PATH, "{'input':'x','store':false,'max_output_tokens':2}");
      HttpResponse<String> answer =
          server.post(PATH, "{'input':'x','previous_response_id':" + once.get("id") + "}");
      assertEquals(404, answer.statusCode());
      assertEquals(
          "previous_response_id", TestServer.json(answer.body()).at("/error/param").stringValue());
    }
  }

  @Test
  void aCallIsAnsweredInTheNextRequest() throws Exception {
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    try (TestServer server =
        new TestServer(new ByteTokenizer(), CONTEXT, ScriptedEngine.of(config, CONTEXT, VOTE))) {
      JsonNode first = server.ask(PATH, "{'input':'Vote.'," + TOOLS + "}");
      assertEquals(1, first.get("output").size());
      String chain = ",'previous_response_id':" + first.get("id") + "," + TOOLS + "}";
      HttpResponse<String> open = server.post(PATH, "{'input':'and?'" + chain);
      assertEquals(400, open.statusCode());
      assertTrue(open.body().contains("no function_call_output"), open::body);
      String output = TOLD.replace("c1", first.at("/output/0/call_id").stringValue());
      JsonNode second = server.ask(PATH, "{'input':[" + output + "]" + chain);
      String prompt =
          "{'messages':[{'role':'user','content':'Vote.'},{'role':'assistant','tool_calls':[{"
              + "'id':'c1','function':{'name':'vote','arguments':"
              + first.at("/output/0/arguments")
              + "}}]},{'role':'tool','tool_call_id':'c1','content':'17'}],"
              + TOOLS
              + "}";
      assertEquals(
          server.ask("/tokenize", prompt).get("count").intValue(),
          second.at("/usage/input_tokens").intValue());
      // The same by items, also with a result in parts.
      String items = "{'input':[{'role':'user','content':'Vote.'}," + CALLED + "," + TOLD + "],";
      assertEquals(
          second.at("/usage/input_tokens"),
          server.ask(PATH, items + TOOLS + "}").at("/usage/input_tokens"));
      String parts = TOLD.replace("'17'", "[{'type':'input_text','text':'17'}]");
      assertEquals(
          second.at("/usage/input_tokens"),
          server.ask(PATH, items.replace(TOLD, parts) + TOOLS + "}").at("/usage/input_tokens"));
    }
  }

  @Test
  void aSchemaConstrainsAndIsLoggedForReplay() throws Exception {
    String format =
        "'text':{'verbosity':'low','format':{'type':'json_schema','name':'n','strict':true,"
            + "'schema':{'type':'object','properties':{'a':{'enum':[7]}},'required':['a'],"
            + "'additionalProperties':false}}}";
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    try (TestServer server =
        new TestServer(
            new ByteTokenizer(), CONTEXT, ScriptedEngine.of(config, CONTEXT, "no JSON"))) {
      JsonNode answer = server.ask(PATH, "{'input':'x'," + format + "}");
      String text = answer.at("/output/0/content/0/text").stringValue();
      assertEquals(7, TestServer.json(text).get("a").intValue());
      assertEquals("json_schema", answer.at("/text/format/type").stringValue());
      JsonNode called =
          server.ask(
              PATH, "{'input':'x','tool_choice':{'type':'function','name':'vote'}," + TOOLS + "}");
      assertEquals("function_call", called.at("/output/0/type").stringValue());
    }
    try (TestServer server =
        new TestServer(TestServer.LIMITS, ApiKeys.NONE, TestServer.ENGINE, () -> {}, folder)) {
      server.ask(PATH, "{'input':'x','text':{'format':{'type':'text'}},'max_output_tokens':2}");
    }
    try (Stream<Path> files = Files.list(folder)) {
      JsonNode logged = TestServer.json(Files.readString(files.findFirst().orElseThrow()));
      assertEquals("text", logged.at("/fields/response_format/type").stringValue());
    }
  }

  @Test
  void logprobsOfATextAreInItsPart() throws Exception {
    try (TestServer server = new TestServer()) {
      String body =
          "{'input':'hello','seed':2,'max_output_tokens':5,'ignore_eos':true,'top_logprobs':2,"
              + "'include':['message.output_text.logprobs','reasoning.encrypted_content']";
      JsonNode whole = server.ask(PATH, body + "}");
      JsonNode told = whole.at("/output/0/content/0/logprobs");
      assertEquals(5, told.size());
      assertEquals(2, told.at("/0/top_logprobs").size());
      assertEquals("incomplete", whole.get("status").stringValue());
      assertEquals("max_output_tokens", whole.at("/incomplete_details/reason").stringValue());
      assertEquals("incomplete", whole.at("/output/0/status").stringValue());
      List<JsonNode> events = events(server, body + ",'stream':true}");
      assertTrue(types(events).endsWith(" incomplete"), () -> types(events));
      List<JsonNode> streamed = new ArrayList<>();
      events.forEach(event -> event.path("logprobs").forEach(streamed::add));
      // Those of each delta, and all again when the text is done.
      assertEquals(List.copyOf(told.values()), streamed.subList(0, 5));
      assertEquals(List.copyOf(told.values()), streamed.subList(5, 10));
    }
  }

  @Test
  void truncationDropsTheOldest() throws Exception {
    try (TestServer server = new TestServer()) {
      StringBuilder items = new StringBuilder();
      for (int i = 10; i < 60; i++) {
        items.append("{'role':'user','content':'question ").append(i).append("'},");
        items.append("{'role':'assistant','content':'answer ").append(i).append("'},");
      }
      String body =
          "{'instructions':'be kind','max_output_tokens':30,'input':["
              + items
              + "{'role':'user','content':'last'}]";
      HttpResponse<String> refused = server.post(PATH, body + "}");
      assertEquals(400, refused.statusCode());
      assertTrue(refused.body().contains("context_length_exceeded"), refused::body);
      JsonNode cut = server.ask(PATH, body + ",'truncation':'auto'}");
      int head = "system: be kind\n".length();
      int turn = "user: question 10\nassistant: answer 10\n".length();
      int tail = "user: last\nassistant:".length();
      int turns = (TestServer.CONTEXT - 30 - head - tail) / turn;
      assertEquals(head + turns * turn + tail, cut.at("/usage/input_tokens").intValue());
      assertEquals("auto", cut.get("truncation").stringValue());
      HttpResponse<String> large =
          server.post(PATH, "{'truncation':'auto','input':'" + "x".repeat(500) + "'}");
      assertTrue(large.body().contains("context_length_exceeded"), large::body);
    }
  }

  @Test
  void aResponseBelongsToItsKey() throws Exception {
    Path keys = Files.writeString(folder.resolve("keys"), "one\ntwo\n");
    try (TestServer server = new TestServer(TestServer.LIMITS, ApiKeys.read(keys), () -> {})) {
      String body = TestServer.quoted("{'input':'x','max_output_tokens':2}");
      String id = TestServer.json(as(server, "one", PATH, body).body()).get("id").stringValue();
      assertEquals(200, as(server, "one", PATH + "/" + id, null).statusCode());
      assertEquals(404, as(server, "two", PATH + "/" + id, null).statusCode());
      String chain = body.replace("{", "{\"previous_response_id\":\"" + id + "\",");
      assertEquals(404, as(server, "two", PATH, chain).statusCode());
      assertEquals(200, as(server, "one", PATH, chain).statusCode());
      assertEquals(401, server.get(PATH + "/" + id).statusCode());
    }
  }

  private static HttpResponse<String> as(TestServer server, String key, String path, String body)
      throws Exception {
    var request = server.to(path).header("Authorization", "Bearer " + key);
    return server.send(
        body == null ? request.build() : request.POST(BodyPublishers.ofString(body)).build());
  }

  @Test
  void anErrorInAStreamEndsIt() throws Exception {
    try (TestServer server = new TestServer()) {
      List<JsonNode> events = events(server, "{'input':'a~','stream':true}");
      assertTrue(types(events).endsWith("error failed"), () -> types(events));
      JsonNode error = events.get(events.size() - 2);
      assertTrue(error.get("message").stringValue().contains("not finite"));
      assertEquals("internal_error", error.get("code").stringValue());
      assertEquals(error.get("message"), error.at("/error/message"));
      assertEquals("failed", events.getLast().at("/response/status").stringValue());
      assertEquals("server_error", events.getLast().at("/response/error/code").stringValue());
    }
  }

  @Test
  void aStreamThatIsCutFreesItsBlocks() throws Exception {
    try (TestServer server =
        new TestServer(TestServer.LIMITS, ApiKeys.NONE, () -> TestServer.pause(2))) {
      String golden = "{'input':'check','seed':3,'max_output_tokens':20,'ignore_eos':true}";
      JsonNode before = server.ask(PATH, golden);
      try (Socket socket =
          server.raw(
              PATH, "{'input':'x','stream':true,'ignore_eos':true,'max_output_tokens':300}")) {
        byte[] some = socket.getInputStream().readNBytes(2000);
        assertTrue(new String(some).contains("response.in_progress"));
      }
      server.awaitIdle();
      TestServer.await(() -> server.waiting() == 0);
      assertEquals(timeless(before), timeless(server.ask(PATH, golden)));
    }
  }

  @Test
  void theStoreForgetsWhatWasUsedLeast() {
    ResponseStore store = new ResponseStore(3, 10_000);
    store.put(kept("a", "", 100));
    store.put(kept("b", "a", 100));
    store.put(kept("c", "", 100));
    assertEquals(2, store.chain("", "b", null).size()); // uses a and b
    store.put(kept("d", "", 100));
    assertEquals(404, status(() -> store.get("", "c", null)));
    assertEquals("a", store.chain("", "b", null).getFirst().id());
    store.put(kept("e", "", 9_000));
    assertEquals(404, status(() -> store.get("", "d", null)));
    assertTrue(store.bytes() <= 10_000);
    store.put(kept("f", "", 20_000)); // too large to be kept, and others stay
    assertEquals(404, status(() -> store.get("", "f", null)));
    assertEquals("e", store.get("", "e", null).id());
    assertEquals(404, status(() -> store.get("another", "e", null)));
    store.remove("", "e");
    ResponseStore deep = new ResponseStore(5000, 10_000_000);
    for (int i = 0; i <= ResponseStore.MOST_CHAINED; i++) {
      deep.put(kept("r" + i, i == 0 ? "" : "r" + (i - 1), 1));
    }
    assertEquals(400, status(() -> deep.chain("", "r" + ResponseStore.MOST_CHAINED, null)));
    assertEquals(1000, deep.chain("", "r999", null).size());
  }

  private static ResponseStore.Kept kept(String id, String previous, int bytes) {
    return new ResponseStore.Kept(id, "", previous, new byte[bytes], new byte[0]);
  }

  private static int status(Runnable run) {
    try {
      run.run();
      return 200;
    } catch (ApiError e) {
      return e.status();
    }
  }
}

package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import tools.jackson.databind.JsonNode;

/** Streams, compared byte by byte. */
@Timeout(120)
class StreamTest {
  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  /** A stream with its id and time replaced. */
  private static String stream(TestServer server, String path, String body) throws Exception {
    HttpResponse<String> answer = server.post(path, body);
    assertEquals(200, answer.statusCode(), answer::body);
    assertEquals("text/event-stream", answer.headers().firstValue("Content-Type").orElse(""));
    assertEquals("no-cache", answer.headers().firstValue("Cache-Control").orElse(""));
    assertEquals("no", answer.headers().firstValue("X-Accel-Buffering").orElse(""));
    return answer
        .body()
        .replaceAll("\"id\":\"(chatcmpl|cmpl)-[0-9a-f]{32}\"", "\"id\":\"$1\"")
        .replaceAll("\"created\":[0-9]+", "\"created\":1");
  }

  private static String chunk(String object, String choices, String usage) {
    String id = object.startsWith("chat") ? "chatcmpl" : "cmpl";
    return TestServer.quoted(
        "data: {'id':'"
            + id
            + "','object':'"
            + object
            + "','created':1,'model':'hash','system_fingerprint':'fp_hash','choices':["
            + choices
            + "],'usage':"
            + usage
            + "}\n\n");
  }

  /** Pieces of a whole response's text: one per token, but é is one of two. */
  private static List<String> pieces(String text) {
    List<String> pieces = new ArrayList<>();
    text.codePoints().forEach(character -> pieces.add(Character.toString(character)));
    return pieces;
  }

  @Test
  void chat() throws Exception {
    String fields =
        "'messages':[{'role':'user','content':'hello'}],'seed':11,'max_tokens':6,"
            + "'logit_bias':{'55':-100,'56':-100},'ignore_eos':true";
    JsonNode whole = server.ask("/v1/chat/completions", "{" + fields + "}");
    String object = "chat.completion.chunk";
    StringBuilder expected = new StringBuilder(":\n\n");
    String end = ",'logprobs':null,'finish_reason':null}";
    expected.append(
        chunk(object, "{'index':0,'delta':{'role':'assistant','content':''}" + end, "null"));
    for (String piece : pieces(whole.at("/choices/0/message/content").stringValue())) {
      String json = piece.equals("\n") ? "\\n" : piece;
      expected.append(chunk(object, "{'index':0,'delta':{'content':'" + json + "'}" + end, "null"));
    }
    expected.append(
        chunk(object, "{'index':0,'delta':{},'logprobs':null,'finish_reason':'length'}", "null"));
    String done = "data: [DONE]\n\n";
    assertEquals(
        expected + done, stream(server, "/v1/chat/completions", "{" + fields + ",'stream':true}"));
    expected.append(
        chunk(
            object,
            "",
            "{'prompt_tokens':22,'completion_tokens':6,'total_tokens':28,"
                + "'prompt_tokens_details':{'cached_tokens':16},"
                + "'completion_tokens_details':{'reasoning_tokens':0}}"));
    assertEquals(
        expected + done,
        stream(
            server,
            "/v1/chat/completions",
            "{" + fields + ",'stream':true,'stream_options':{'include_usage':true}}"));
  }

  @Test
  void completion() throws Exception {
    String fields = "'prompt':'hello','seed':11,'max_tokens':4,'ignore_eos':true,'logprobs':0";
    JsonNode whole = server.ask("/v1/completions", "{" + fields + "}").at("/choices/0");
    String streamed = stream(server, "/v1/completions", "{" + fields + ",'stream':true}");
    List<JsonNode> chunks = chunks(streamed);
    StringBuilder text = new StringBuilder();
    List<String> tokens = new ArrayList<>();
    List<Integer> offsets = new ArrayList<>();
    for (JsonNode chunk : chunks.subList(0, chunks.size() - 1)) {
      text.append(chunk.at("/choices/0/text").stringValue());
      chunk.at("/choices/0/logprobs/tokens").forEach(token -> tokens.add(token.stringValue()));
      chunk.at("/choices/0/logprobs/text_offset").forEach(at -> offsets.add(at.intValue()));
      assertTrue(chunk.at("/choices/0/finish_reason").isNull());
    }
    assertEquals(whole.get("text").stringValue(), text.toString());
    assertEquals(4, tokens.size());
    assertEquals(
        whole.at("/logprobs/text_offset").toString(),
        TestServer.json(offsets.toString()).toString());
    assertTrue(
        streamed.endsWith(
            chunk(
                    "text_completion",
                    "{'index':0,'text':'','logprobs':null,'finish_reason':'length'}",
                    "null")
                + "data: [DONE]\n\n"));
  }

  private static List<JsonNode> chunks(String stream) throws IOException {
    List<JsonNode> chunks = new ArrayList<>();
    for (String event : stream.split("\n\n")) {
      if (event.startsWith("data: {")) {
        chunks.add(TestServer.json(event.substring("data: ".length())));
      }
    }
    return chunks;
  }

  @Test
  void severalTextsInOneStream() throws Exception {
    String fields = "'prompt':['ab','cd'],'n':2,'seed':5,'max_tokens':15,'return_token_ids':true";
    JsonNode whole = server.ask("/v1/completions", "{" + fields + "}").get("choices");
    String[] texts = {"", "", "", ""};
    int[] ids = new int[4];
    int[] ends = new int[4];
    for (JsonNode chunk :
        chunks(stream(server, "/v1/completions", "{" + fields + ",'stream':true}"))) {
      JsonNode choice = chunk.at("/choices/0");
      int index = choice.get("index").intValue();
      texts[index] += choice.get("text").stringValue();
      ids[index] += choice.path("token_ids").size();
      ends[index] += choice.get("finish_reason").isNull() ? 0 : 1;
    }
    for (int i = 0; i < 4; i++) {
      assertEquals(whole.get(i).get("text").stringValue(), texts[i]);
      assertEquals(whole.get(i).get("token_ids").size(), ids[i]);
      assertEquals(1, ends[i]);
    }
  }

  @Test
  void anErrorAfterTheFirstByteIsAnEventOfThatName() throws Exception {
    assertEquals(
        TestServer.quoted(
            ":\n\nevent: error\ndata: {'error':{'message':'the completion failed: the model gives numbers"
                + " that are not finite in layer 3 after 2 tokens; its weights are damaged, or training"
                + " diverged','type':'server_error','param':null,'code':'internal_error'}}\n\n"),
        stream(server, "/v1/completions", "{'prompt':'a~','stream':true}"));
  }

  @Test
  void silenceIsFilledWithComments() throws Exception {
    Limits pinging = TestServer.limits(16, 256, Duration.ofSeconds(30), Duration.ofMillis(50));
    try (TestServer slow = new TestServer(pinging, ApiKeys.NONE, () -> TestServer.pause(400))) {
      String streamed =
          stream(slow, "/v1/completions", "{'prompt':'a','stream':true,'max_tokens':2}");
      assertTrue(streamed.startsWith(":\n\n:\n\n:\n\n"), streamed);
      HttpResponse<String> whole =
          slow.post("/v1/completions", "{'prompt':'a','max_tokens':3,'ignore_eos':true}");
      assertTrue(whole.body().startsWith("\n\n"), whole::body);
      assertEquals(
          "length", TestServer.json(whole.body()).at("/choices/0/finish_reason").stringValue());
    }
  }
}

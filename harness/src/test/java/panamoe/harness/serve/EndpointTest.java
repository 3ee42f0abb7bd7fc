package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.serve.completion.TokenText;
import panamoe.harness.serve.http.ApiKeys;
import tools.jackson.databind.JsonNode;

@Timeout(120)
class EndpointTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  /** The engine's completion without other sequences. */
  private static Generation alone(String prompt, SamplingConfig sampling, int tokens) {
    return alone(prompt, sampling, StopConfig.of(tokens, List.of()), List.of());
  }

  private static Generation alone(
      String prompt, SamplingConfig sampling, StopConfig stop, List<TokenLogprobs> logprobs) {
    Generation[] result = new Generation[1];
    try (Engine engine = HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {})) {
      engine.submit(
          GenerationRequest.of(HashEngine.TOKENIZER.encode(prompt), sampling, stop)
              .withLogprobs(logprobs instanceof ArrayList ? 3 : -1),
          new GenerationListener() {
            @Override
            public void sampled(int token, TokenLogprobs told, int[] experts) {
              if (told != null) {
                logprobs.add(told);
              }
            }

            @Override
            public void ended(Generation generation) {
              result[0] = generation;
            }
          });
      while (engine.step()) {}
    }
    return result[0];
  }

  private static SamplingConfig seed(long seed) {
    return SamplingConfig.of(1, 0, 1, seed);
  }

  @Test
  void aCompletionIsWhatTheEngineWrites() throws Exception {
    Generation expected = alone("once upon", seed(7), 20);
    JsonNode answer =
        server.ask(COMPLETIONS, "{'model':'hash','prompt':'once upon','seed':7,'max_tokens':20}");
    assertTrue(answer.get("id").stringValue().startsWith("cmpl-"));
    assertEquals("text_completion", answer.get("object").stringValue());
    assertEquals("hash", answer.get("model").stringValue());
    assertEquals("fp_hash", answer.get("system_fingerprint").stringValue());
    JsonNode choice = answer.get("choices").get(0);
    assertEquals(expected.text(), choice.get("text").stringValue());
    assertEquals(0, choice.get("index").intValue());
    assertTrue(choice.get("logprobs").isNull());
    assertFalse(choice.has("token_ids"));
    assertEquals(
        expected.end() == Generation.End.LENGTH ? "length" : "stop",
        choice.get("finish_reason").stringValue());
    JsonNode usage = answer.get("usage");
    assertEquals(9, usage.get("prompt_tokens").intValue());
    assertEquals(expected.tokens(), usage.get("completion_tokens").intValue());
    assertEquals(9 + expected.tokens(), usage.get("total_tokens").intValue());
    assertEquals(0, usage.at("/completion_tokens_details/reasoning_tokens").intValue());
  }

  @Test
  void aChatIsTheCompletionOfItsLines() throws Exception {
    String lines = "system: be kind\nuser: hello\nassistant:";
    Generation expected = alone(lines, seed(3), 30);
    String messages =
        "'messages':[{'role':'system','content':'be kind'},"
            + "{'role':'user','content':[{'type':'text','text':'hel'},{'type':'text','text':'lo'}]}]";
    JsonNode answer = server.ask(CHAT, "{" + messages + ",'seed':3,'max_completion_tokens':30}");
    assertTrue(answer.get("id").stringValue().startsWith("chatcmpl-"));
    assertEquals("chat.completion", answer.get("object").stringValue());
    JsonNode message = answer.at("/choices/0/message");
    assertEquals("assistant", message.get("role").stringValue());
    assertEquals(expected.text(), message.get("content").stringValue());
    assertTrue(message.get("refusal").isNull());
    assertEquals(
        lines, server.ask("/apply-template", "{" + messages + "}").get("prompt").stringValue());
    JsonNode tokens = server.ask("/tokenize", "{" + messages + "}");
    assertEquals(lines.length(), tokens.get("count").intValue());
  }

  @Test
  void severalTextsHaveTheNextSeedsAndShareThePrompt() throws Exception {
    String prompt = "a prompt of more than two blocks of sixteen tokens";
    JsonNode answer =
        server.ask(
            COMPLETIONS,
            "{'prompt':['"
                + prompt
                + "','other'],'seed':40,'n':3,'max_tokens':12,'cache_salt':'x'}");
    assertEquals(6, answer.get("choices").size());
    for (int i = 0; i < 3; i++) {
      assertEquals(
          alone(prompt, seed(40 + i), 12).text(),
          answer.at("/choices/" + i + "/text").stringValue());
      assertEquals(
          alone("other", seed(40 + i), 12).text(),
          answer.at("/choices/" + (3 + i) + "/text").stringValue());
    }
    assertNotEquals(
        answer.at("/choices/0/text").stringValue(), answer.at("/choices/1/text").stringValue());
    assertEquals(prompt.length() + 5, answer.at("/usage/prompt_tokens").intValue());
    assertEquals(0, answer.at("/usage/prompt_tokens_details/cached_tokens").intValue());
    JsonNode again =
        server.ask(COMPLETIONS, "{'prompt':'" + prompt + "','max_tokens':1,'cache_salt':'x'}");
    assertEquals(48, again.at("/usage/prompt_tokens_details/cached_tokens").intValue());
  }

  @Test
  void textsWithoutASeedHaveOneEach() throws Exception {
    Set<String> texts = new HashSet<>();
    for (int i = 0; i < 2; i++) {
      server
          .ask(COMPLETIONS, "{'prompt':'alike','n':3,'max_tokens':20}")
          .get("choices")
          .forEach(choice -> texts.add(choice.get("text").stringValue()));
    }
    assertEquals(6, texts.size(), texts::toString);
  }

  @Test
  void siblingsFindTheBlocksOfTheFirst() throws Exception {
    double before = hits();
    server.ask(
        COMPLETIONS, "{'prompt':'" + "shared ".repeat(10) + "','n':4,'max_tokens':2,'seed':1}");
    server.awaitIdle();
    assertEquals(3 * 64, hits() - before);
  }

  private static double hits() throws Exception {
    return server
        .get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith("panamoe_prefix_cache_hits_total "))
        .mapToDouble(line -> Double.parseDouble(line.split(" ")[1]))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void withoutASeedEachRequestHasItsOwn() throws Exception {
    String body = "{'prompt':'the same','max_tokens':30,'ignore_eos':true}";
    assertNotEquals(
        server.ask(COMPLETIONS, body).at("/choices/0/text").stringValue(),
        server.ask(COMPLETIONS, body).at("/choices/0/text").stringValue());
  }

  @Test
  void logprobsAreTheEnginesToTheBit() throws Exception {
    List<TokenLogprobs> expected = new ArrayList<>();
    StopConfig stop = new StopConfig(25, 0, List.of(), Set.of(), true, false);
    alone("logs", seed(5), stop, expected);
    String common = "'seed':5,'max_tokens':25,'ignore_eos':true,'return_token_ids':true,";
    JsonNode completion =
        server.ask(COMPLETIONS, "{'prompt':'logs'," + common + "'logprobs':3}").at("/choices/0");
    JsonNode told = completion.get("logprobs");
    assertEquals(25, told.get("tokens").size());
    assertEquals(25, completion.get("token_ids").size());
    assertArrayEquals(
        HashEngine.TOKENIZER.encode("logs"), ints(completion.get("prompt_token_ids")));
    int offset = 0;
    for (int i = 0; i < 25; i++) {
      TokenLogprobs engine = expected.get(i);
      assertEquals(engine.logprob(), told.get("token_logprobs").get(i).doubleValue());
      JsonNode top = told.get("top_logprobs").get(i);
      for (int j = 0; j < 3; j++) {
        String token = TokenText.of(HashEngine.TOKENIZER, engine.tokens()[j]);
        assertEquals(engine.logprobs()[j], top.get(token).doubleValue());
      }
      assertTrue(top.has(told.get("tokens").get(i).stringValue()));
      assertTrue(told.get("text_offset").get(i).intValue() >= offset);
      offset = told.get("text_offset").get(i).intValue();
    }
    String text = completion.get("text").stringValue();
    assertTrue(offset <= text.codePointCount(0, text.length()));
    JsonNode chat =
        server.ask(
            CHAT,
            "{'messages':[{'role':'user','content':'x'}],"
                + common
                + "'logprobs':true,'top_logprobs':2}");
    JsonNode content = chat.at("/choices/0/logprobs/content");
    assertEquals(chat.at("/choices/0/token_ids").size(), content.size());
    for (int i = 0; i < content.size(); i++) {
      JsonNode token = content.get(i);
      assertEquals(2, token.get("top_logprobs").size());
      int id = chat.at("/choices/0/token_ids").get(i).intValue();
      assertArrayEquals(TokenText.bytes(HashEngine.TOKENIZER, id), ints(token.get("bytes")));
      assertFalse(token.get("top_logprobs").get(0).has("top_logprobs"));
    }
    assertTrue(chat.get("prompt_token_ids").isArray());
  }

  private static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).intValue()).toArray();
  }

  @Test
  void tokensAsPromptAndStopsAreKept() throws Exception {
    int[] prompt = HashEngine.TOKENIZER.encode("once upon");
    String ids = server.ask("/tokenize", "{'prompt':'once upon'}").get("tokens").toString();
    String text = alone("once upon", seed(7), 20).text();
    String stop = text.substring(5, 7);
    JsonNode stopped =
        server.ask(
            COMPLETIONS,
            "{'prompt':"
                + ids
                + ",'seed':7,'max_tokens':20,'stop':'"
                + stop.replace("\n", "\\n")
                + "'}");
    assertEquals(
        text.substring(0, text.indexOf(stop)), stopped.at("/choices/0/text").stringValue());
    assertEquals("stop", stopped.at("/choices/0/finish_reason").stringValue());
    assertEquals(prompt.length, stopped.at("/usage/prompt_tokens").intValue());
    int token = HashEngine.TOKENIZER.encode(text.substring(0, 1))[0];
    JsonNode none =
        server.ask(
            COMPLETIONS, "{'prompt':[" + ids + "],'seed':7,'stop_token_ids':[" + token + "]}");
    assertEquals("", none.at("/choices/0/text").stringValue());
    assertEquals("stop", none.at("/choices/0/finish_reason").stringValue());
    JsonNode empty = server.ask(COMPLETIONS, "{'prompt':'','max_tokens':0}");
    assertEquals("length", empty.at("/choices/0/finish_reason").stringValue());
    assertEquals(1, empty.at("/usage/prompt_tokens").intValue());
  }

  @Test
  void whatHasNoEffectIsIgnored() throws Exception {
    server.ask(
        CHAT,
        "{'model':'hash','messages':[{'role':'user','content':'x','tool_calls':null},"
            + "{'role':'assistant','content':'y','refusal':null,'tool_calls':[],'annotations':[]}],"
            + "'max_tokens':2,'user':'me','store':false,'metadata':{'a':'b'},'service_tier':'auto',"
            + "'stream':false,'temperature':null,'tools':[],'tool_choice':'auto',"
            + "'parallel_tool_calls':true,'response_format':{'type':'text'},'logit_bias':{'5':-100},"
            + "'n':1,'stop':null,'top_k':-1,'priority':3,'timeout_ms':60000,'audio':null}");
    String same = "'seed':3,'max_tokens':4,'prompt_cache_key':'k'";
    assertEquals(
        server.ask(COMPLETIONS, "{'prompt':'x'," + same + "}").at("/choices/0/text"),
        server
            .ask(
                COMPLETIONS,
                "{'prompt':'x','best_of':1,'prompt_cache_retention':'24h'," + same + "}")
            .at("/choices/0/text"));
    String marked = "'cache_control':{'type':'ephemeral'}";
    String hints = "'modalities':['text'],'verbosity':'low','prompt_cache_retention':'24h',";
    assertEquals(
        server
            .ask(CHAT, "{'messages':[{'role':'user','content':'x'}]," + same + "}")
            .at("/choices/0/message"),
        server
            .ask(
                CHAT,
                "{'messages':[{'role':'user',%1$s,'content':[{'type':'text','text':'x',%1$s}]}],"
                        .formatted(marked)
                    + hints
                    + same
                    + "}")
            .at("/choices/0/message"));
  }

  @Test
  void tokensComeAndGo() throws Exception {
    JsonNode tokens = server.ask("/tokenize", "{'prompt':'ab \u00e9','return_token_strs':true}");
    assertEquals("[0,1,52,55,56]", tokens.get("tokens").toString());
    assertEquals(
        TestServer.quoted("['a','b',' ','bytes:\\\\xc3','bytes:\\\\xa9']"),
        tokens.get("token_strs").toString());
    assertEquals(TestServer.CONTEXT, tokens.get("max_model_len").intValue());
    assertEquals(
        "ab \u00e9",
        server.ask("/detokenize", "{'tokens':[0,1,52,55,56]}").get("prompt").stringValue());
    assertEquals("[]", server.ask("/tokenize", "{'prompt':''}").get("tokens").toString());
  }

  @Test
  void modelsAndHealth() throws Exception {
    HttpResponse<String> models = server.get("/v1/models");
    assertEquals(200, models.statusCode());
    assertEquals("application/json", models.headers().firstValue("Content-Type").orElse(""));
    assertEquals(
        TestServer.quoted(
            "{'object':'list','data':[{'id':'hash','object':'model','created':1700000000,"
                + "'owned_by':'panamoe','max_model_len':400,'chat':true,'chat_template':false,"
                + "'root':'hash'}]}"),
        models.body());
    assertEquals(200, server.get("/v1/models/hash").statusCode());
    assertEquals(404, server.get("/v1/models/other").statusCode());
    assertEquals(TestServer.quoted("{'status':'ready'}"), server.get("/health").body());
    assertEquals(200, server.get("/livez").statusCode());
  }

  @Test
  void metricsCountWhatWasDone() throws Exception {
    server.ask(COMPLETIONS, "{'prompt':'count','max_tokens':5,'ignore_eos':true}");
    server.awaitIdle();
    HttpResponse<String> answer = server.get("/metrics");
    assertTrue(answer.headers().firstValue("Content-Type").orElse("").startsWith("text/plain"));
    for (String name :
        List.of(
            "panamoe_num_requests_running 0",
            "panamoe_num_requests_waiting 0",
            "panamoe_kv_cache_usage_perc 0",
            "panamoe_num_preemptions_total 0",
            "panamoe_prefix_cache_queries_total ",
            "panamoe_prompt_tokens_total ",
            "panamoe_generation_tokens_total ",
            "# HELP panamoe_request_success_total Texts",
            "# HELP panamoe_request_log_failures_total Texts",
            "panamoe_request_success_total{finished_reason=\"length\"} ",
            "panamoe_time_to_first_token_seconds_bucket{",
            "panamoe_inter_token_latency_seconds_bucket{",
            "panamoe_e2e_request_latency_seconds_count ",
            "panamoe_request_queue_time_seconds_sum ",
            "panamoe_request_prefill_time_seconds_bucket{",
            "panamoe_request_decode_time_seconds_bucket{",
            "panamoe_request_prompt_tokens_bucket{",
            "panamoe_request_generation_tokens_bucket{",
            "panamoe_iteration_tokens_bucket{",
            "panamoe_build_info{model=\"hash\",version=\"1\"} 1")) {
      assertTrue(answer.body().contains("\n" + name), name + " in\n" + answer.body());
    }
  }

  @Test
  void loadingIsTold() throws Exception {
    try (ApiServer loading =
        new ApiServer(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            null,
            server.model,
            TestServer.LIMITS,
            TestServer.access(ApiKeys.NONE),
            server.metrics,
            null,
            null,
            _ -> {})) {
      loading.loaded(0.421);
      String at = "http://127.0.0.1:" + loading.port();
      HttpResponse<String> health =
          server.send(HttpRequest.newBuilder(URI.create(at + "/health")).build());
      assertEquals(503, health.statusCode());
      assertEquals(TestServer.quoted("{'status':'loading','progress':0.42}"), health.body());
      HttpResponse<String> early =
          server.send(
              HttpRequest.newBuilder(URI.create(at + COMPLETIONS))
                  .POST(BodyPublishers.ofString("{\"prompt\":\"x\"}"))
                  .build());
      assertEquals(503, early.statusCode());
      assertTrue(early.headers().firstValue("Retry-After").isPresent());
      assertEquals("loading", TestServer.json(early.body()).at("/error/code").stringValue());
    }
  }
}

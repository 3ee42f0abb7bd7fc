package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.engine.routes.RouteStatistics;
import panamoe.harness.serve.log.Metrics;
import panamoe.open.ExpertHeat;
import tools.jackson.databind.JsonNode;

/** Routes in responses, of a model with two MoE layers: of 4 experts with top-2, and of 6. */
@Timeout(120)
class MoeEndpointTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";
  private static final String TEXT = "'max_tokens': 12, 'temperature': 0, 'ignore_eos': true";
  private static final String COMPLETION = "{'prompt': 'Hello'," + TEXT;
  private static final String MESSAGES =
      "{'messages': [{'role': 'user', 'content': 'Hello'}]," + TEXT;

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static JsonNode choice(String path, String body) throws Exception {
    return server.ask(path, body).path("choices").get(0);
  }

  private static long sum(JsonNode numbers) {
    long sum = 0;
    for (JsonNode number : numbers) {
      sum += number.longValue();
    }
    return sum;
  }

  @Test
  void wholeAnswersTellWhatIsAskedFor() throws Exception {
    String ask = COMPLETION + ", 'cache_salt': 'whole', 'moe': {'stats': true, 'tokens': true}}";
    JsonNode moe = choice(COMPLETIONS, ask).path("moe");
    assertEquals(2, moe.path("layers").size());
    JsonNode first = moe.path("layers").get(0);
    assertEquals(1, first.path("layer").intValue());
    assertEquals(4, first.path("experts").intValue());
    assertEquals(2, first.path("top_k").intValue());
    assertEquals(4, first.path("weight").size());
    assertEquals(2 * (5 + 11), sum(first.path("tokens")));
    assertTrue(first.path("entropy").doubleValue() > 0);
    assertTrue(first.path("entropy").doubleValue() <= 2);
    assertEquals(5 + 11, sum(moe.path("layers").get(1).path("tokens")));
    assertEquals(12, moe.path("token_experts").size());
    moe.path("token_experts").forEach(experts -> assertEquals(2, experts.size()));
  }

  /** Counts of earlier servers are reported next to this one's. */
  @Test
  void keptCountsAreTold() throws Exception {
    assertFalse(server.get("/v1/moe/stats").body().contains("tokens_before"));
    long[] first = {5, 0, 7, 1};
    long[] second = {1, 2, 3, 4, 5, 6};
    server.keeps(List.of(new ExpertHeat.Layer(1, first), new ExpertHeat.Layer(2, second)));
    JsonNode layers = TestServer.json(server.get("/v1/moe/stats").body()).path("layers");
    assertEquals(13, sum(layers.get(0).path("tokens_before")));
    assertEquals(21, sum(layers.get(1).path("tokens_before")));
    assertEquals(4, layers.get(0).path("tokens").size());
  }

  @Test
  void answersTellNothingElse() throws Exception {
    assertFalse(choice(COMPLETIONS, COMPLETION + "}").has("moe"));
    assertFalse(choice(CHAT, MESSAGES + ", 'moe': {}}").has("moe"));
    assertFalse(choice(CHAT, MESSAGES + ", 'moe': {'stats': false}}").has("moe"));
    JsonNode stats = choice(CHAT, MESSAGES + ", 'moe': {'stats': true}}").path("moe");
    assertTrue(stats.has("layers"));
    assertFalse(stats.has("token_experts"));
    JsonNode tokens = choice(CHAT, MESSAGES + ", 'moe': {'tokens': true}}").path("moe");
    assertFalse(tokens.has("layers"));
    assertEquals(12, tokens.path("token_experts").size());
  }

  @Test
  void textsMayGoToFewerExperts() throws Exception {
    String ask = COMPLETION + ", 'cache_salt': 'fewer', 'moe': {'stats': true, 'top_k': ";
    for (String topK : List.of("1}}", "[1, 1]}}")) {
      JsonNode layers = choice(COMPLETIONS, ask + topK).path("moe").path("layers");
      assertEquals(1, layers.get(0).path("top_k").intValue());
      assertEquals(0.5, layers.get(0).path("kept").doubleValue());
      assertEquals(1, layers.get(1).path("kept").doubleValue());
      assertEquals(sum(layers.get(1).path("tokens")), sum(layers.get(0).path("tokens")));
    }
  }

  /** A stream has the routes of a whole response, in pieces. */
  @ParameterizedTest
  @CsvSource({COMPLETIONS, CHAT})
  void streamsTellTheSame(String path) throws Exception {
    String ask = path.equals(CHAT) ? MESSAGES : COMPLETION;
    String moe = ", 'cache_salt': '%s', 'moe': {'stats': true, 'tokens': true}";
    JsonNode whole = choice(path, ask + moe.formatted("a" + path) + "}").path("moe");
    HttpResponse<String> stream =
        server.post(path, ask + moe.formatted("b" + path) + ", 'stream': true}");
    List<JsonNode> experts = new ArrayList<>();
    JsonNode layers = null;
    for (String line : stream.body().lines().filter(line -> line.startsWith("data: {")).toList()) {
      JsonNode choice = TestServer.json(line.substring(6)).path("choices").get(0);
      choice.path("moe").path("token_experts").forEach(experts::add);
      if (choice.path("finish_reason").isNull()) {
        assertFalse(choice.path("moe").has("layers"));
      } else {
        assertNull(layers);
        layers = choice.path("moe").path("layers");
        assertFalse(choice.path("moe").has("token_experts"));
      }
    }
    assertEquals(whole.path("layers"), layers);
    assertEquals(whole.path("token_experts").size(), experts.size());
    for (int token = 0; token < experts.size(); token++) {
      assertEquals(whole.path("token_experts").get(token), experts.get(token));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '"',
      value = {
        "{'stats': 1}; moe.stats is not true or false",
        "{'tokens': 'yes'}; moe.tokens is not true or false",
        "{'top_k': 3}; moe.top_k is 3 for layer 1, expected 1 to 2",
        "{'top_k': [2, 0]}; moe.top_k is 0 for layer 3, expected 1 to 1",
        "{'top_k': 1.5}; moe.top_k is not a whole number, or an array of one for each MoE layer",
        "{'top_k': []}; moe.top_k has no numbers",
        "{'layers': true}; there is no field moe.layers",
        "true; moe is not an object"
      })
  void badFieldsAreRefused(String moe, String message) throws Exception {
    for (String ask : List.of(COMPLETION, MESSAGES)) {
      String path = ask.equals(MESSAGES) ? CHAT : COMPLETIONS;
      HttpResponse<String> answer = server.post(path, ask + ", 'moe': " + moe + "}");
      assertEquals(400, answer.statusCode());
      JsonNode error = TestServer.json(answer.body()).path("error");
      assertEquals(message, error.path("message").stringValue());
      String param = error.path("param").stringValue();
      assertTrue(param.startsWith("moe") && message.contains(param), param);
    }
  }

  /** All rows since the start, whether or not their requests ask for routes. */
  @Test
  void statisticsGrowByAllRows() throws Exception {
    JsonNode before = TestServer.json(server.get("/v1/moe/stats").body());
    assertEquals("moe.stats", before.path("object").stringValue());
    assertEquals("hash", before.path("model").stringValue());
    server.ask(COMPLETIONS, COMPLETION + ", 'cache_salt': 'grow'}");
    JsonNode after = TestServer.json(server.get("/v1/moe/stats").body());
    for (int i = 0; i < 2; i++) {
      JsonNode layer = after.path("layers").get(i);
      long rows =
          (sum(layer.path("tokens")) - sum(before.path("layers").get(i).path("tokens")))
              / layer.path("top_k").intValue();
      assertEquals(5 + 11, rows);
      assertTrue(layer.path("imbalance").doubleValue() >= 1);
      assertTrue(layer.has("entropy"));
      assertFalse(layer.has("kept"));
    }
    String metrics = server.get("/metrics").body();
    long second = after.path("layers").get(1).path("tokens").get(5).longValue();
    assertTrue(
        metrics
            .lines()
            .filter(line -> line.startsWith("panamoe_moe_expert_tokens_total{"))
            .anyMatch(
                line ->
                    line.contains("expert=\"5\"")
                        && line.contains("layer=\"3\"")
                        && line.endsWith(" " + (double) second)),
        metrics);
    assertEquals(
        10, metrics.lines().filter(line -> line.startsWith("panamoe_moe_expert_tokens_")).count());
  }

  /** Time series are bounded, whatever the model. */
  @ParameterizedTest
  @CsvSource({"512, true", "513, false"})
  void manyExpertsHaveNoMetrics(int experts, boolean told) {
    Metrics metrics = new Metrics(Map.of());
    RouteStatistics.Layer layer =
        new RouteStatistics.Layer(0, experts, 1, new long[experts], new double[experts], 1);
    metrics.routed(new RouteStatistics(List.of(layer)));
    assertEquals(told, metrics.scrape("text/plain").contains("panamoe_moe_expert_tokens_total{"));
  }
}

package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.AdaptedModel;
import panamoe.engine.schedule.Engine;
import panamoe.model.LanguageModel;
import panamoe.open.NamedAdapters;
import tools.jackson.databind.JsonNode;

/** Requests choose an adapter by the name of the model, by each API. */
@Timeout(120)
class AdapterChoiceTest {
  private static final EngineConfig CONFIG = new EngineConfig(64, 4, 4, 64, 0.25, true, 0);
  private static final List<String> NAMES = List.of(TestServer.MODEL, "a0", "a1");

  private static Backend backend;
  private static LanguageModel model;
  private static TestServer server;

  @BeforeAll
  static void start() throws Exception {
    NamedAdapters adapters = AdaptedModel.adapters(2);
    backend = Backends.open("cpu", 1);
    model = AdaptedModel.of(backend, adapters);
    ByteTokenizer bytes = new ByteTokenizer();
    server =
        new TestServer(
            TestServer.USES.with(adapters.names()),
            bytes,
            AdaptedModel.CONTEXT,
            new Engine(backend, model, bytes, CONFIG));
  }

  @AfterAll
  static void stop() throws Exception {
    server.close();
    model.close();
    backend.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "/v1/completions|'prompt':'It was','max_tokens':12|/choices/0/text",
        "/v1/chat/completions|'messages':[{'role':'user','content':'Go'}],'max_tokens':12|/choices/0/message/content",
        "/v1/responses|'input':'Go','max_output_tokens':16|/output",
        "/v1/messages|'messages':[{'role':'user','content':'Go'}],'max_tokens':12|/content",
        "/v1/embeddings|'input':'It was'|/data/0/embedding"
      })
  void theModelIsTheAdapter(String path, String fields, String answer) throws Exception {
    String greedy = path.endsWith("embeddings") ? "" : ",'temperature':0";
    Set<String> answers = new HashSet<>();
    for (String name : NAMES) {
      JsonNode said = server.ask(path, "{'model':'" + name + "'," + fields + greedy + "}");
      assertEquals(name, said.get("model").stringValue());
      answers.add(withoutIds(said.at(answer)));
    }
    assertEquals(NAMES.size(), answers.size(), answers::toString);
    JsonNode unnamed = server.ask(path, "{" + fields + greedy + "}");
    JsonNode named = server.ask(path, "{'model':'hash'," + fields + greedy + "}");
    assertEquals(withoutIds(named.at(answer)), withoutIds(unnamed.at(answer)));
  }

  private static String withoutIds(JsonNode answer) {
    assertFalse(answer.isMissingNode());
    return answer.toString().replaceAll("\"id\":\"[^\"]*\"", "");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "/v1/completions|'prompt':'It was'",
        "/v1/responses|'input':'Go'",
        "/v1/embeddings|'input':'Go'"
      })
  void anUnknownNameIsRefusedWithTheNames(String path, String fields) throws Exception {
    HttpResponse<String> refused = server.post(path, "{'model':'a2'," + fields + "}");
    assertEquals(404, refused.statusCode());
    JsonNode error = TestServer.json(refused.body()).get("error");
    assertEquals("model_not_found", error.get("code").stringValue());
    assertEquals(
        "there is no model a2; this server has hash, a0, a1", error.get("message").stringValue());
  }

  @Test
  void modelsAndTagsListTheAdapters() throws Exception {
    JsonNode models = TestServer.json(server.get("/v1/models").body()).get("data");
    assertEquals(NAMES, texts(models, "id"));
    assertEquals(List.of("hash", "hash", "hash"), texts(models, "root"));
    assertFalse(models.get(0).has("parent"));
    assertEquals("hash", models.get(1).get("parent").stringValue());
    JsonNode one = TestServer.json(server.get("/v1/models/a1").body());
    assertEquals("a1", one.get("id").stringValue());
    assertEquals(404, server.get("/v1/models/a2").statusCode());
    JsonNode tags = TestServer.json(server.get("/api/tags").body()).get("models");
    assertEquals(NAMES, texts(tags, "name"));
    assertTrue(NAMES.contains(tags.get(2).get("model").stringValue()));
  }

  private static List<String> texts(JsonNode objects, String field) {
    return new ArrayList<>(
        StreamSupport.stream(objects.spliterator(), false)
            .map(each -> each.get(field).stringValue())
            .toList());
  }
}

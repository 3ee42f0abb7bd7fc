package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.harness.Version;
import panamoe.harness.serve.responses.ResponsesEndpoint;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The description of the API. {@link TestServer} compares the exchanges of all tests with it. */
@Timeout(120)
class OpenApiTest {
  @Test
  void isValidAndHasThePathsOfTheServer() throws Exception {
    try (TestServer server = new TestServer()) {
      OpenApi api = new OpenApi(server.get("/openapi.json").body());
      assertEquals(List.of(), api.errors());
      assertEquals(Version.number(), api.document.at("/info/version").stringValue());
      assertEquals(
          Version.number(),
          TestServer.json(server.get("/version").body()).get("version").stringValue());
      Map<String, String> methods = new TreeMap<>();
      for (Map.Entry<String, JsonNode> each : api.document.get("paths").properties()) {
        String method = String.join(",", each.getValue().propertyNames()).toUpperCase(Locale.ROOT);
        methods.put(each.getKey().replaceFirst("\\{[^/]*}$", ""), method);
      }
      String kept = ResponsesEndpoint.PATH + "/";
      assertEquals("GET", methods.remove(kept + "{response}/input_items"));
      assertEquals("GET,DELETE", methods.put(kept, null));
      assertEquals(server.server.methods(), methods);
      String page = Files.readString(Path.of("..", "docs", "serving.md"));
      methods.keySet().forEach(path -> assertTrue(page.contains(path), path));
      String path = "/v1/embeddings";
      String good = "{\"input\":[[1,2],[3]],\"user\":null}";
      HttpResponse<String> answer = server.post(path, good);
      for (String body : List.of("{\"input\":[[1,2.5]]}", "{}", "{\"input\":\"\",\"other\":1}")) {
        assertThrows(AssertionError.class, () -> api.require(path, body, answer), body);
      }
      assertThrows(AssertionError.class, () -> api.require(path, good, server.get("/v1/models")));
      assertThrows(AssertionError.class, () -> api.require("/none", good, answer));
      assertThrows(AssertionError.class, () -> api.require(path, null, answer));
      ObjectNode wrong = (ObjectNode) api.document.deepCopy();
      ((ObjectNode) wrong.at("/components/schemas/Token")).put("type", "whole");
      assertFalse(new OpenApi(wrong.toString()).errors().isEmpty());
      ((ObjectNode) api.document.get("info")).remove("title");
      assertFalse(new OpenApi(api.document.toString()).errors().isEmpty());
    }
  }
}

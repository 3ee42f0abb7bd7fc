package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import com.networknt.schema.dialect.Dialects;
import java.net.http.HttpResponse;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;

/** A server's {@code /openapi.json}, with which exchanges are compared. Thread-safe. */
final class OpenApi {
  private static final String HERE = "https://panamoe.invalid/openapi.json";
  private static final String THERE = "https://spec.openapis.org/oas/3.1/";
  private static final JsonMapper JSON = JsonMapper.shared();

  final JsonNode document;
  private final SchemaRegistry registry;

  OpenApi(String text) {
    document = JSON.readTree(text);
    registry =
        SchemaRegistry.withDefaultDialect(
            Dialects.getOpenApi31(), builder -> builder.schemas(Map.of(HERE, text)));
  }

  /** What is wrong with the document by OpenAPI's own schema. */
  List<String> errors() {
    return SchemaRegistry.withDefaultDialect(
            SpecificationVersion.DRAFT_2020_12,
            builder ->
                builder.schemaIdResolvers(ids -> ids.mapPrefix(THERE, "classpath:openapi/3.1/")))
        .getSchema(SchemaLocation.of(THERE + "schema-base/2025-09-15"))
        .validate(document)
        .stream()
        .map(Object::toString)
        .toList();
  }

  /** A request that is answered by 200, and each response in JSON, have the document's schemas. */
  void require(String path, String body, HttpResponse<String> answer) {
    JsonNode operation = operation(path.replaceFirst("\\?.*", ""), body == null ? "get" : "post");
    boolean json =
        answer.headers().firstValue("Content-Type").orElse("").equals("application/json");
    if (operation.isMissingNode()) {
      boolean page = path.equals("/") || path.startsWith("/page/");
      assertTrue(page || answer.statusCode() != 200, () -> path + " is not described");
      return;
    }
    if (!json && answer.statusCode() != 200) {
      return;
    }
    if (answer.statusCode() == 200 && body != null) {
      assertEquals(
          List.of(), errors(operation.get("requestBody"), withoutNull(JSON.readTree(body))), body);
    }
    boolean probe = path.equals(ApiServer.HEALTH) || path.equals(ApiServer.LIVE);
    if (json) {
      JsonNode response =
          answer.statusCode() == 200 || probe
              ? operation.at("/responses/200")
              : document.at(operation.at("/responses/default/$ref").stringValue().substring(1));
      assertEquals(List.of(), errors(response, JSON.readTree(answer.body())), answer.body());
    }
  }

  private JsonNode operation(String path, String method) {
    for (Map.Entry<String, JsonNode> each : document.get("paths").properties()) {
      if (path.matches(each.getKey().replaceAll("\\{.*?}", "[^/]+"))) {
        return each.getValue().path(method);
      }
    }
    return MissingNode.getInstance();
  }

  private List<String> errors(JsonNode described, JsonNode found) {
    String reference = described.at("/content/application~1json/schema/$ref").stringValue();
    return registry.getSchema(SchemaLocation.of(HERE + reference)).validate(found).stream()
        .map(Object::toString)
        .toList();
  }

  /** A field that is null counts as absent. */
  private static JsonNode withoutNull(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.removeIf(JsonNode::isNull);
    }
    node.forEach(OpenApi::withoutNull);
    return node;
  }
}

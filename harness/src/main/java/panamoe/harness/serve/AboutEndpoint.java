package panamoe.harness.serve;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.harness.Version;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.io.StrictJson;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What the server is: its version, and its API as OpenAPI 3.1. The file {@code openapi.json} has
 * the schemas, and a line for each operation: method, path, schemas of request and response, and
 * what it does. Thread-safe.
 */
final class AboutEndpoint {
  record About(String version, String commit) {}

  private final About about;
  private final byte[] api;

  AboutEndpoint() throws IOException {
    about = new About(Version.number(), Version.commit());
    try (InputStream stream = AboutEndpoint.class.getResourceAsStream("openapi.json")) {
      ObjectNode document = (ObjectNode) StrictJson.tree(stream.readAllBytes());
      ((ObjectNode) document.get("info")).put("version", about.version);
      JsonNode operations = document.remove("operations");
      ObjectNode paths = document.putObject("paths");
      for (JsonNode one : operations) {
        add(paths, one);
      }
      api = StrictJson.bytes(document);
    }
  }

  private static void add(ObjectNode paths, JsonNode one) {
    String path = one.get(1).stringValue();
    String method = one.get(0).stringValue().toLowerCase(Locale.ROOT);
    ObjectNode operation = paths.withObjectProperty(path).putObject(method);
    operation.put("operationId", method + path.replaceAll("[^a-z0-9]+", "_"));
    operation.put("summary", one.get(4).stringValue());
    Matcher name = Pattern.compile("\\{(.+)}").matcher(path);
    if (name.find()) {
      ObjectNode parameter = operation.putArray("parameters").addObject();
      parameter.put("name", name.group(1)).put("in", "path").put("required", true);
      parameter.putObject("schema").put("type", "string");
    }
    if (!one.get(2).isNull()) {
      schema(operation.putObject("requestBody"), "application/json", one.get(2));
    }
    ObjectNode responses = operation.putObject("responses");
    ObjectNode good = responses.putObject("200").put("description", one.get(4).stringValue());
    schema(good, one.get(3).isNull() ? "text/plain" : "application/json", one.get(3));
    String api =
        path.startsWith("/api/") ? "Ollama" : path.startsWith("/v1/messages") ? "Messages" : "";
    reference(responses.putObject("default"), "responses", api + "Error");
  }

  private static void schema(ObjectNode body, String type, JsonNode name) {
    ObjectNode schema = body.putObject("content").putObject(type).putObject("schema");
    if (name.isNull()) {
      schema.put("type", "string");
    } else {
      reference(schema, "schemas", name.stringValue());
    }
  }

  private static void reference(ObjectNode to, String kind, String name) {
    to.put("$ref", "#/components/" + kind + "/" + name);
  }

  /** The API as OpenAPI 3.1. */
  String document() {
    return new String(api, StandardCharsets.UTF_8);
  }

  void version(HttpExchange call) throws IOException {
    call.respond(about);
  }

  void openApi(HttpExchange call) throws IOException {
    call.respond("application/json", api, Map.of());
  }
}

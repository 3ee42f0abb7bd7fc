package panamoe.harness.serve.responses;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import panamoe.harness.serve.completion.Completions;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Responses, and those that are kept. Thread-safe. */
public record ResponsesEndpoint(Completions completions, ResponseStore store) {
  public static final String PATH = "/v1/responses";

  /** Answers a request. */
  public void create(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    call.repeats();
    ServedModel model = completions.model();
    model.requireNamed(fields);
    ResponsesRequest asked = ResponsesRequest.of(fields, call, model, store);
    completions.converse(
        call,
        fields,
        asked.conversation(),
        asked.logprobs(),
        request ->
            new ResponsesForm(
                completions.head(ResponsesForm.ID, fields),
                request,
                asked,
                model.tokenizer(),
                call.user(),
                store));
  }

  /** Sends or forgets a response, or sends its input. */
  public void kept(HttpExchange call) throws IOException {
    String[] names = call.path().substring(PATH.length() + 1).split("/", 2);
    String of = names.length == 1 ? "" : names[1];
    String method = call.method().equals("HEAD") ? "GET" : call.method();
    switch (method + " " + of) {
      case "GET " -> {
        if ("true".equals(call.query("stream"))) {
          throw ApiError.unsupported("stream is not supported: the response has ended", "stream");
        }
        call.respondJson(store.get(call.user(), names[0], null).response());
      }
      case "DELETE " -> {
        store.remove(call.user(), names[0]);
        call.respond(
            JsonNodeFactory.instance
                .objectNode()
                .put("id", names[0])
                .put("object", "response")
                .put("deleted", true));
      }
      case "GET input_items" -> call.respond(inputItems(call, names[0]));
      case "POST cancel" -> {
        store.get(call.user(), names[0], null);
        throw ApiError.unsupported(
            "only a response in the background can be cancelled: close the connection instead",
            null);
      }
      default -> {
        if (of.isEmpty()) {
          throw ApiError.wrongMethod(call.method(), "GET, DELETE");
        }
        throw ApiError.notFound("endpoint " + call.path());
      }
    }
  }

  /** All items of a response's request, the latest first. */
  private ObjectNode inputItems(HttpExchange call, String id) {
    String order = call.query("order");
    if (order != null && !order.equals("asc") && !order.equals("desc")) {
      throw ApiError.invalid("order is " + Fields.shown(order) + ", expected asc or desc", "order");
    }
    List<JsonNode> items = new ArrayList<>(store.get(call.user(), id, null).input(call));
    if (!"asc".equals(order)) {
      Collections.reverse(items);
    }
    ObjectNode list = JsonNodeFactory.instance.objectNode().put("object", "list");
    list.putArray("data").addAll(items);
    return list.put("first_id", items.getFirst().path("id").asString())
        .put("last_id", items.getLast().path("id").asString())
        .put("has_more", false);
  }
}

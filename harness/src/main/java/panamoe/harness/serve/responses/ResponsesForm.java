package panamoe.harness.serve.responses;

import java.util.List;
import java.util.Map;
import panamoe.conversation.reply.Reply;
import panamoe.data.Tokenizer;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.Finish;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.completion.Usage;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Json;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A response of Responses, whose only choice becomes its items. Keeps it at its end. */
final class ResponsesForm implements ResponseForm {
  /** Ids of responses begin with it. */
  static final String ID = "resp_";

  private static final Map<String, String> PREFIXES =
      Map.of("function_call", "fc_", "function_call_output", "fc_", "reasoning", "rs_");

  private final Head head;
  private final CompletionRequest request;
  private final ResponsesRequest asked;
  private final String user;
  private final ResponseStore store;
  private final ResponsesOutput output;

  /**
   * @param user to whom the response belongs
   */
  ResponsesForm(
      Head head,
      CompletionRequest request,
      ResponsesRequest asked,
      Tokenizer tokenizer,
      String user,
      ResponseStore store) {
    this.head = head;
    this.request = request;
    this.asked = asked;
    this.user = user;
    this.store = store;
    this.output = new ResponsesOutput(name(), asked.summary(), tokenizer);
  }

  private String name() {
    return head.id().substring(ID.length());
  }

  /** The id of the response to which an item belongs. */
  static String responseOf(String item) {
    return item.replaceFirst("^[a-z]+_([0-9a-f]+)_.*", ID + "$1");
  }

  @Override
  public Head head() {
    return head;
  }

  @Override
  public void read(Reply.Read read, List<ChoiceEvent.Sampled> sampled) {
    output.add(read, sampled);
    output.events(); // nobody streams them
  }

  @Override
  public Object whole(List<StreamedChoice> texts, Usage usage) {
    return ended(texts.getFirst(), usage);
  }

  @Override
  public List<ServerEvent> open() {
    for (String type : List.of("created", "in_progress")) {
      output.event("response." + type).set("response", response("in_progress"));
    }
    return output.events();
  }

  @Override
  public List<ServerEvent> begin(int choice) {
    return List.of();
  }

  @Override
  public List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read) {
    output.add(read, piece.sampled());
    return output.events();
  }

  @Override
  public List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read) {
    output.add(read, List.of());
    return output.events();
  }

  @Override
  public List<ServerEvent> close(List<StreamedChoice> texts, Usage usage) {
    ObjectNode response = ended(texts.getFirst(), usage);
    output.event("response." + response.get("status").stringValue()).set("response", response);
    return output.events();
  }

  @Override
  public List<ServerEvent> error(ApiError error) {
    ApiError.Body.Error told = error.body().error();
    // OpenAI's reference has the members in the event, its libraries look for them in error.
    output
        .event("error")
        .put("code", told.code())
        .put("message", told.message())
        .put("param", told.param())
        .set("error", Json.tree(told));
    ObjectNode response = response("failed");
    response.putObject("error").put("code", "server_error").put("message", told.message());
    output.event("response.failed").set("response", response);
    return output.events();
  }

  /** The response at its end, which is kept if it may be continued. */
  private ObjectNode ended(StreamedChoice text, Usage usage) {
    Finish finish = text.finish();
    boolean whole = !finish.reason().equals("length");
    output.end(whole);
    ObjectNode response = response(whole ? "completed" : "incomplete");
    if (!whole) {
      String reason = finish.panamoe() == null ? "max_output_tokens" : finish.panamoe().finish();
      response.putObject("incomplete_details").put("reason", reason);
    }
    response.set("output", output.items());
    ObjectNode counts =
        response
            .putObject("usage")
            .put("input_tokens", usage.promptTokens())
            .put("output_tokens", usage.completionTokens())
            .put("total_tokens", usage.totalTokens());
    counts
        .putObject("input_tokens_details")
        .put("cached_tokens", usage.promptTokensDetails().cachedTokens());
    counts
        .putObject("output_tokens_details")
        .put("reasoning_tokens", usage.completionTokensDetails().reasoningTokens());
    if (asked.kept()) {
      byte[] input = Json.bytes(Map.of("input", input()));
      store.put(
          new ResponseStore.Kept(head.id(), user, asked.previous(), input, Json.bytes(response)));
    }
    return response;
  }

  /** The items of the request, with ids. */
  private ArrayNode input() {
    ArrayNode items = JsonNodeFactory.instance.arrayNode();
    for (int i = 0; i < asked.input().size(); i++) {
      ObjectNode item = items.addObject();
      ObjectNode given = (ObjectNode) asked.input().get(i);
      String prefix = PREFIXES.getOrDefault(given.path("type").asString(""), "msg_");
      item.put("type", "message").put("id", prefix + name() + "_in" + i);
      given.properties().stream()
          .filter(field -> !field.getValue().isNull())
          .forEach(field -> item.set(field.getKey(), field.getValue()));
    }
    return items;
  }

  private ObjectNode response(String status) {
    ObjectNode response =
        JsonNodeFactory.instance
            .objectNode()
            .put("id", head.id())
            .put("object", "response")
            .put("created_at", head.created())
            .put("status", status)
            .putNull("error")
            .putNull("incomplete_details")
            .put("model", head.model())
            .put("temperature", request.prompts().getFirst().sampling().temperature())
            .put("top_p", request.prompts().getFirst().sampling().topP());
    response.setAll(asked.told());
    response.putArray("output");
    return response.putNull("usage");
  }
}

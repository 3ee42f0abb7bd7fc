package panamoe.harness.serve.responses;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import panamoe.conversation.ChatFormat;
import panamoe.engine.GenerationRequest;
import panamoe.harness.serve.completion.ChatMessages;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.Json;
import panamoe.harness.serve.model.ServedModel;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A request of Responses, translated to the fields of chat completions.
 *
 * @param previous the id of the response that it continues; empty for none
 * @param input its own items, with those that it refers to
 * @param told the fields that its response repeats
 * @param kept whether later requests may continue its response
 * @param summary whether thoughts are called a summary
 * @param logprobs most probable tokens to report; -1 for none
 */
record ResponsesRequest(
    String previous,
    List<JsonNode> input,
    ObjectNode told,
    boolean kept,
    boolean summary,
    int logprobs,
    Conversation conversation) {
  private static final String INPUT = "input";
  private static final String PREVIOUS = "previous_response_id";
  private static final String LOGPROBS = "message.output_text.logprobs";

  /** What a response can include. Without hosted tools it never has the others. */
  private static final Set<String> INCLUDED =
      Set.of(
          LOGPROBS,
          "reasoning.encrypted_content",
          "message.input_image.image_url",
          "file_search_call.results",
          "web_search_call.results",
          "web_search_call.action.sources",
          "code_interpreter_call.outputs",
          "computer_call_output.output.image_url");

  private static final ObjectNode DEFAULTS =
      Json.object(
          """
          {"background": false, "instructions": null, "max_output_tokens": null, "metadata": {},
           "parallel_tool_calls": true, "previous_response_id": null,
           "reasoning": {"effort": null, "summary": null}, "store": true,
           "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
           "top_logprobs": 0, "truncation": "disabled", "user": null}
          """
              .getBytes(StandardCharsets.UTF_8),
          _ -> {});

  private static final int MOST_METADATA = 16;
  private static final int MOST_NAME = 64;
  private static final int MOST_VALUE = 512;

  /**
   * Translates a request.
   *
   * @throws ApiError if it is wrong, or asks for what this server does not have
   */
  static ResponsesRequest of(
      Fields fields, HttpExchange call, ServedModel model, ResponseStore store) {
    ObjectNode told = told(fields);
    fields.refuse("prompt", "conversation", "messages", "max_completion_tokens");
    fields.refuse("return_token_ids", "moe");
    fields.refuseExcept("background", BooleanNode.FALSE);
    fields.refuseExcept("n", IntNode.valueOf(1));
    fields.ignore("max_tool_calls"); // of hosted tools
    fields.rename(INPUT, "messages");
    fields.rename("max_output_tokens", "max_tokens");
    text(fields);
    boolean summary = reasoning(fields);
    metadata(fields);
    JsonNode kept = fields.take("store");
    fields.require(kept == null || kept.isBoolean(), "store", "is not true or false");
    String previous = fields.text(PREVIOUS, "");
    int logprobs = logprobs(fields);
    ChatFormat chat = model.requireChat();
    ResponsesInput read = new ResponsesInput(chat.template().isPresent());
    String instructions = fields.text("instructions", null);
    if (instructions != null) {
      read.say("system", instructions);
    }
    for (ResponseStore.Kept before : store.chain(call.user(), previous, PREVIOUS)) {
      before.items(call).forEach(item -> read.add(fields.inner(PREVIOUS, item)));
    }
    List<JsonNode> input = input(fields, call, store);
    for (int i = 0; i < input.size(); i++) {
      read.add(fields.inner(element(i), input.get(i)));
    }
    return new ResponsesRequest(
        previous,
        input,
        told,
        kept == null || kept.booleanValue(),
        summary,
        logprobs,
        Truncation.of(fields, read.messages(fields), model));
  }

  private static ObjectNode told(Fields fields) {
    ObjectNode told = DEFAULTS.deepCopy();
    ObjectNode given = fields.given(DEFAULTS.propertyNames().toArray(String[]::new));
    given.properties().stream()
        .filter(field -> !field.getValue().isNull())
        .forEach(field -> told.set(field.getKey(), field.getValue()));
    return told;
  }

  private static String element(int index) {
    return INPUT + "[" + index + "]";
  }

  /** The items of a request: a text is a message, and a reference is the item that it names. */
  private static List<JsonNode> input(Fields fields, HttpExchange call, ResponseStore store) {
    JsonNode input = fields.required("messages");
    if (input.isString()) {
      ObjectNode message =
          JsonNodeFactory.instance.objectNode().put("type", "message").put("role", "user");
      message.putArray("content").addObject().put("type", "input_text").set("text", input);
      return List.of(message);
    }
    fields.require(
        input.isArray() && !input.isEmpty(), "messages", "is not a string or an array of items");
    List<JsonNode> items = new ArrayList<>();
    Map<String, Map<String, byte[]>> kept = new HashMap<>();
    for (int i = 0; i < input.size(); i++) {
      JsonNode item = input.get(i);
      String type = item.path("type").asString(item.has("role") ? "message" : "item_reference");
      items.add(
          type.equals("item_reference")
              ? referred(fields.inner(element(i), item), call, store, kept)
              : item);
    }
    return items;
  }

  /**
   * The item that a reference names.
   *
   * @param kept the items of responses that were named before, by their ids
   */
  private static JsonNode referred(
      Fields reference,
      HttpExchange call,
      ResponseStore store,
      Map<String, Map<String, byte[]>> kept) {
    String id = ChatMessages.required(reference, "id");
    reference.ignore("type");
    reference.requireNoOthers();
    String param = reference.path("id");
    byte[] item =
        kept.computeIfAbsent(
                ResponsesForm.responseOf(id),
                response ->
                    store.get(call.user(), response, param).items(call).stream()
                        .collect(
                            Collectors.toMap(
                                one -> one.path("id").asString(""),
                                Json::bytes,
                                (first, _) -> first)))
            .get(id);
    if (item == null) {
      throw ApiError.noResponse("there is no item " + Fields.shown(id), param);
    }
    return call.object(item); // a copy of its own, whose memory counts
  }

  private static void text(Fields fields) {
    Fields text = fields.inner("text");
    if (text != null) {
      fields.translate("text.format", "response_format", text.take("format"));
      text.ignore("verbosity");
      text.requireNoOthers();
    } else {
      fields.refuse("response_format");
    }
  }

  /** Whether thoughts are called a summary. */
  private static boolean reasoning(Fields fields) {
    Fields reasoning = fields.inner("reasoning");
    if (reasoning == null) {
      fields.refuse("reasoning_effort");
      return false;
    }
    fields.translate("reasoning.effort", "reasoning_effort", reasoning.take("effort"));
    String summary = reasoning.text("summary", null);
    reasoning.require(
        summary == null || Set.of("auto", "concise", "detailed").contains(summary),
        "summary",
        "is none of auto, concise and detailed");
    reasoning.requireNoOthers();
    return summary != null;
  }

  private static void metadata(Fields fields) {
    Fields metadata = fields.inner("metadata");
    if (metadata == null) {
      return;
    }
    List<String> names = metadata.names();
    boolean fits =
        names.size() <= MOST_METADATA
            && names.stream()
                .allMatch(
                    name ->
                        name.length() <= MOST_NAME
                            && metadata.text(name, "").length() <= MOST_VALUE);
    fields.require(
        fits,
        "metadata",
        "is not up to %s strings of up to %s characters, with names of up to %s",
        MOST_METADATA,
        MOST_VALUE,
        MOST_NAME);
  }

  /** The most probable tokens to report; -1 for none. */
  private static int logprobs(Fields fields) {
    JsonNode include = fields.take("include");
    fields.require(include == null || include.isArray(), "include", "is not an array");
    boolean asked = false;
    for (int i = 0; include != null && i < include.size(); i++) {
      String name = include.get(i).asString("");
      fields.require(INCLUDED.contains(name), "include", "has %s", Fields.shown(name));
      asked |= name.equals(LOGPROBS);
    }
    int top = fields.integer("top_logprobs", 0, 0, GenerationRequest.MOST_LOGPROBS);
    return asked || top > 0 ? top : -1;
  }
}

package panamoe.harness.serve.ollama;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.conversation.ChatFormat;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Translates a request of Ollama's chat to chat completions. */
final class OllamaRequest {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  /** Options with the names that chat completions have for them. */
  private static final Map<String, String> OPTIONS =
      Map.of(
          "temperature", "temperature",
          "top_k", "top_k",
          "top_p", "top_p",
          "min_p", "min_p",
          "seed", "seed",
          "stop", "stop",
          "repeat_penalty", "repetition_penalty",
          "presence_penalty", "presence_penalty",
          "frequency_penalty", "frequency_penalty");

  private final ChatFormat chat;
  private final Map<String, String> unanswered = new LinkedHashMap<>(); // names of calls by id
  private int calls;

  private OllamaRequest(ChatFormat chat) {
    this.chat = chat;
  }

  /**
   * Reads a request; fields that have the same meaning in chat completions are left.
   *
   * @throws ApiError if a field is wrong, or the template refuses the messages
   */
  static Conversation of(Fields fields, ChatFormat chat) {
    fields.refuse("n", "stream_options", "return_token_ids", "moe");
    fields.ignore("keep_alive");
    if (fields.given("stream").isEmpty()) {
      fields.translate("stream", "stream", JSON.booleanNode(true));
    }
    format(fields);
    thinking(fields, chat);
    options(fields);
    new OllamaRequest(chat).messages(fields);
    return Conversation.of(fields, chat);
  }

  private static void format(Fields fields) {
    JsonNode format = fields.take("format");
    if (format == null || format.asString("x").isEmpty()) {
      return;
    }
    boolean any = format.asString("").equals("json");
    fields.require(any || format.isObject(), "format", "is neither json nor a schema");
    ObjectNode translated = JSON.objectNode().put("type", any ? "json_object" : "json_schema");
    if (!any) {
      translated.set("schema", format);
    }
    fields.translate("format", "response_format", translated);
  }

  private static void thinking(Fields fields, ChatFormat chat) {
    JsonNode think = fields.take("think");
    if (think == null) {
      return;
    }
    fields.require(think.isBoolean() || think.isString(), "think", "is not true, false or a word");
    Conversation.think(fields, "think", think.asBoolean(true), chat);
    if (think.isString()) {
      fields.translate("think", "reasoning_effort", think);
    }
  }

  private static void options(Fields fields) {
    Fields options = fields.inner("options");
    if (options == null) {
      return;
    }
    OPTIONS.forEach(
        (option, name) -> {
          JsonNode value = options.take(option);
          if (value != null) {
            fields.translate("options." + option, name, value);
          }
        });
    int most = options.integer("num_predict", -1, -2, Integer.MAX_VALUE);
    if (most >= 0) {
      fields.translate("options.num_predict", "max_tokens", JSON.numberNode(most));
    }
    options.ignore("num_ctx", "num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa");
    options.ignore("low_vram", "f16_kv", "use_mmap", "use_mlock", "vocab_only", "logits_all");
    options.requireNoOthers();
  }

  private void messages(Fields fields) {
    JsonNode messages = fields.required("messages");
    ArrayNode translated = JSON.arrayNode();
    for (int i = 0; i < messages.size(); i++) {
      translated.add(message(fields.inner("messages[" + i + "]", messages.get(i))));
    }
    fields.translate("messages", "messages", translated);
  }

  private ObjectNode message(Fields message) {
    message.refuse("images");
    ObjectNode translated = message.given("role", "content");
    message.ignore("role", "content");
    JsonNode thoughts = message.take("thinking");
    if (thoughts != null && chat.template().isPresent()) {
      translated.set("reasoning_content", thoughts);
    }
    JsonNode called = message.take("tool_calls");
    for (int i = 0; called != null && i < called.size(); i++) {
      Fields call = message.inner("tool_calls[" + i + "]", called.get(i));
      translated.withArray("tool_calls").add(call(call));
    }
    String name = message.text("tool_name", null);
    String id = message.text("tool_call_id", null);
    if (translated.path("role").asString("").equals("tool")) {
      String answered = id == null ? answered(message, name) : id;
      unanswered.remove(answered);
      translated.put("tool_call_id", answered);
    }
    message.requireNoOthers();
    return translated;
  }

  private ObjectNode call(Fields call) {
    Fields function = call.inner("function", call.required("function"));
    String name = function.text("name", "");
    JsonNode arguments = function.required("arguments");
    function.require(arguments.isObject(), "arguments", "is not an object");
    function.ignore("index", "description");
    function.requireNoOthers();
    String id = call.text("id", "call_" + calls++);
    call.ignore("type");
    call.requireNoOthers();
    unanswered.put(id, name);
    ObjectNode translated = JSON.objectNode().put("id", id).put("type", "function");
    translated.putObject("function").put("name", name).put("arguments", arguments.toString());
    return translated;
  }

  /** The first call of this name that waits for its result; a null name stands for every name. */
  private String answered(Fields message, String name) {
    return unanswered.keySet().stream()
        .filter(id -> name == null || unanswered.get(id).equals(name))
        .findFirst()
        .orElseThrow(
            () -> message.wrong("tool_name", "names no call in a message before that waits"));
  }
}

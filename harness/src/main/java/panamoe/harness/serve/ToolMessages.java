package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.HashSet;
import java.util.Set;
import panamoe.grammar.CallForm;

/** Calls and their results in the messages of one conversation, in their order. */
final class ToolMessages {
  private final Set<String> ids = new HashSet<>();

  /**
   * An assistant's calls: {@code id}, {@code type} and {@code function} of each, with arguments
   * that are the text of a JSON object.
   *
   * @throws ApiError if they are not as OpenAI's
   */
  ArrayNode calls(Fields message) {
    JsonNode calls = message.take("tool_calls");
    if (calls != null && !calls.isArray()) {
      throw message.wrong("tool_calls", "is not an array of calls");
    }
    ArrayNode read = JsonNodeFactory.instance.arrayNode();
    for (int i = 0; calls != null && i < calls.size(); i++) {
      Fields call = message.inner("tool_calls[" + i + "]", calls.get(i));
      Fields function = call.inner("function");
      if (!call.text("type", "function").equals("function")) {
        throw call.wrong("type", "is not function");
      }
      if (function == null) {
        throw call.missing("function");
      }
      String id = call.text("id", "");
      String name = function.text("name", "");
      if (id.isEmpty()) {
        throw call.missing("id");
      }
      if (name.isEmpty()) {
        throw function.missing("name");
      }
      ids.add(id);
      String arguments = function.text("arguments", "");
      if (!Json.isObject(arguments)) {
        throw function.wrong("arguments", "is not the text of a JSON object");
      }
      read.addObject()
          .put("id", id)
          .put("type", "function")
          .putObject("function")
          .put("name", name)
          .put("arguments", arguments);
      function.requireNoOthers();
      call.ignore("index"); // of a chunk that a client has kept
      call.requireNoOthers();
    }
    return read;
  }

  /** Calls as a model without a template writes them; empty if there are none. */
  static String text(JsonNode calls) {
    StringBuilder text = new StringBuilder();
    for (JsonNode call : calls) {
      JsonNode function = call.path("function");
      text.append(CallForm.OPEN)
          .append("{\"name\": ")
          .append(function.path("name"))
          .append(", \"arguments\": ")
          .append(function.path("arguments").textValue())
          .append('}')
          .append(CallForm.CLOSE);
    }
    return text.toString();
  }

  /**
   * The call that a message of the role tool is the result of.
   *
   * @throws ApiError if no earlier message made that call
   */
  String requireCalled(Fields message) {
    String id = message.text("tool_call_id", "");
    if (!ids.contains(id)) {
      throw message.wrong("tool_call_id", "is not the id of a call in a message before");
    }
    return id;
  }
}

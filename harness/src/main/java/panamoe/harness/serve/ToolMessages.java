package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.util.HashSet;
import java.util.Set;
import panamoe.grammar.CallGrammar;

/** Calls and their results in the messages of one conversation, in their order. */
final class ToolMessages {
  private final Set<String> ids = new HashSet<>();

  /**
   * The text of an assistant's calls, as it would have written them; empty if there are none.
   *
   * @throws ApiError if they are not as OpenAI's, or their arguments are not a JSON object
   */
  String calls(Fields message) {
    JsonNode calls = message.take("tool_calls");
    if (calls != null && !calls.isArray()) {
      throw message.wrong("tool_calls", "is not an array of calls");
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; calls != null && i < calls.size(); i++) {
      Fields call = message.inner("tool_calls[" + i + "]", calls.get(i));
      Fields function = call.inner("function");
      if (!call.text("type", "function").equals("function")) {
        throw call.wrong("type", "is not function");
      }
      if (function == null) {
        throw call.wrong("function", "is missing");
      }
      String id = call.text("id", "");
      String name = function.text("name", "");
      if (id.isEmpty()) {
        throw call.wrong("id", "is missing");
      }
      if (name.isEmpty()) {
        throw function.wrong("name", "is missing");
      }
      ids.add(id);
      String arguments = function.text("arguments", "");
      if (!Json.isObject(arguments)) {
        throw function.wrong("arguments", "is not the text of a JSON object");
      }
      text.append(CallGrammar.OPEN)
          .append("{\"name\": ")
          .append(TextNode.valueOf(name))
          .append(", \"arguments\": ")
          .append(arguments)
          .append('}')
          .append(CallGrammar.CLOSE);
      function.requireNoOthers();
      call.ignore("index"); // of a chunk that a client has kept
      call.requireNoOthers();
    }
    return text.toString();
  }

  /**
   * @throws ApiError if a message of the role tool is not the result of a call before it
   */
  void requireCalled(Fields message) {
    if (!ids.contains(message.text("tool_call_id", ""))) {
      throw message.wrong("tool_call_id", "is not the id of a call in a message before");
    }
  }
}

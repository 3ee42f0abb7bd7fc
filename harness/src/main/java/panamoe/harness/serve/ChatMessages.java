package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Set;

/** The messages of a request, as OpenAI's but with contents that are strings. */
final class ChatMessages {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");

  private ChatMessages() {}

  /**
   * Reads them.
   *
   * @param template whether the model has a template, which may show names and reasoning
   * @throws ApiError if they are no conversation, or hold more than text and calls
   */
  static ArrayNode of(Fields fields, boolean template) {
    JsonNode messages = fields.take("messages");
    if (messages == null) {
      throw fields.missing("messages");
    }
    if (!messages.isArray() || messages.isEmpty()) {
      throw fields.wrong("messages", "is not an array of one message or more");
    }
    ArrayNode read = JsonNodeFactory.instance.arrayNode();
    ToolMessages called = new ToolMessages();
    for (int i = 0; i < messages.size(); i++) {
      Fields message = fields.inner("messages[" + i + "]", messages.get(i));
      read.add(one(message, called, template));
      // What clients send back of an answer where it says nothing.
      message.refuse("function_call", "audio", "refusal", "annotations");
      message.ignore("cache_control");
      message.requireNoOthers();
    }
    return read;
  }

  private static ObjectNode one(Fields message, ToolMessages called, boolean template) {
    String role = message.text("role", "");
    if (!ROLES.contains(role)) {
      throw message.wrong("role", "is none of system, developer, user, assistant and tool");
    }
    ObjectNode read = JsonNodeFactory.instance.objectNode().put("role", role);
    ArrayNode calls = JsonNodeFactory.instance.arrayNode();
    if (role.equals("assistant")) {
      calls = called.calls(message);
    } else {
      message.refuse("tool_calls");
    }
    read.put("content", content(message, !calls.isEmpty()));
    if (!calls.isEmpty()) {
      read.set("tool_calls", calls);
    }
    if (role.equals("tool")) {
      read.put("tool_call_id", called.requireCalled(message));
    } else {
      message.refuse("tool_call_id");
    }
    if (template) {
      for (String name : new String[] {"name", "reasoning_content"}) {
        if (message.take(name) != null) {
          read.put(name, message.text(name, ""));
        }
      }
    } else {
      message.refuse("reasoning_content");
      if (role.equals("tool")) {
        message.ignore("name"); // its call has it
      } else {
        message.refuse("name");
      }
    }
    return read;
  }

  private static String content(Fields message, boolean mayMiss) {
    JsonNode content = message.take("content");
    if (content == null && mayMiss) {
      return "";
    }
    if (content == null) {
      throw message.missing("content");
    }
    if (content.isTextual()) {
      return content.textValue();
    }
    if (!content.isArray()) {
      throw message.wrong("content", "is not a string or an array of parts");
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < content.size(); i++) {
      Fields part = message.inner("content[" + i + "]", content.get(i));
      if (!part.text("type", "").equals("text")) {
        throw ApiError.unsupported(part.path("type") + " is not text", part.path("type"));
      }
      text.append(part.text("text", ""));
      part.ignore("cache_control");
      part.requireNoOthers();
    }
    return text.toString();
  }
}

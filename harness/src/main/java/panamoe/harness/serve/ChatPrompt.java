package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Set;

/**
 * The prompt of a conversation. Models of this version bring no template: each message is a line,
 * {@code role: content}, and the assistant's line is left to write.
 */
public final class ChatPrompt {
  /** Where the assistant's turn ends. */
  public static final List<String> STOPS = List.of("\nuser:");

  /** Where it begins. */
  public static final String REPLY = "assistant:";

  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");

  private ChatPrompt() {}

  /** A message of a conversation. */
  public static String line(String role, String content) {
    return role + ": " + content + '\n';
  }

  /**
   * The text of {@code messages}, after a line about the functions that may be called.
   *
   * @throws ApiError if they are no conversation, or hold more than text and calls
   */
  static String of(Fields fields, Tools tools) {
    JsonNode messages = fields.take("messages");
    if (messages == null) {
      throw fields.wrong("messages", "is missing");
    }
    if (!messages.isArray() || messages.isEmpty()) {
      throw fields.wrong("messages", "is not an array of one message or more");
    }
    StringBuilder prompt = new StringBuilder(tools.line());
    ToolMessages called = new ToolMessages();
    for (int i = 0; i < messages.size(); i++) {
      Fields message = fields.inner("messages[" + i + "]", messages.get(i));
      String role = message.text("role", "");
      if (!ROLES.contains(role)) {
        throw message.wrong("role", "is none of system, developer, user, assistant and tool");
      }
      String calls = "";
      if (role.equals("assistant")) {
        calls = called.calls(message);
      } else {
        message.refuse("tool_calls");
      }
      if (role.equals("tool")) {
        called.requireCalled(message);
      } else {
        message.refuse("tool_call_id");
      }
      prompt.append(line(role, content(message, !calls.isEmpty()) + calls));
      // What clients send back of an answer, and its other fields where they say nothing.
      message.refuse("name", "function_call", "audio", "refusal");
      message.refuse("reasoning_content", "annotations");
      message.requireNoOthers();
    }
    return prompt.append(REPLY).toString();
  }

  private static String content(Fields message, boolean mayMiss) {
    JsonNode content = message.take("content");
    if (content == null && mayMiss) {
      return "";
    }
    if (content == null) {
      throw message.wrong("content", "is missing");
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
      part.requireNoOthers();
    }
    return text.toString();
  }
}

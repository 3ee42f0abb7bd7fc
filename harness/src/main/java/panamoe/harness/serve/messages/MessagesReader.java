package panamoe.harness.serve.messages;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/**
 * Reads the messages of a request in Anthropic's form. Consecutive messages of a role are one turn.
 * The turn after calls begins with their results.
 */
final class MessagesReader {
  private static final String CONTENT = "content";

  private final List<Message> read = new ArrayList<>();
  private final Map<String, Integer> calledIds = new HashMap<>(); // with their order
  private final Set<String> unanswered = new LinkedHashSet<>();
  // The turn so far.
  private String role = "";
  private boolean said;
  private final StringBuilder text = new StringBuilder();
  private final StringBuilder thoughts = new StringBuilder();
  private final List<FunctionCall> calls = new ArrayList<>();
  private final SortedMap<Integer, Message> results = new TreeMap<>(); // in the order of the calls

  private MessagesReader() {}

  /**
   * Reads {@code system} and {@code messages}.
   *
   * @throws ApiError if they are not a conversation, or hold more than text, thoughts and calls
   */
  static List<Message> of(Fields fields) {
    MessagesReader reader = new MessagesReader();
    JsonNode system = fields.take("system");
    if (system != null) {
      reader.begin("system", fields, "system");
      reader.texts(fields, "system", system);
      reader.said &= !reader.text.isEmpty();
    }
    JsonNode messages = fields.required("messages");
    boolean several = messages.isArray() && !messages.isEmpty();
    fields.require(several, "messages", "is not an array of one message or more");
    for (int i = 0; i < messages.size(); i++) {
      Fields message = fields.inner("messages[" + i + "]", messages.get(i));
      reader.message(message);
      message.requireNoOthers();
    }
    fields.require(
        !reader.role.equals("assistant"),
        "messages",
        "ends with the assistant's turn: an answer that was begun cannot be continued");
    reader.requireAnswered(fields, "messages", "ends");
    reader.end();
    return reader.read;
  }

  private void message(Fields message) {
    String speaker = message.text("role", "");
    message.require(
        Set.of("user", "assistant", "system").contains(speaker),
        "role",
        "is none of user, assistant and system");
    begin(speaker, message, "role");
    JsonNode content = message.required(CONTENT);
    if (content.isString() || speaker.equals("system")) {
      requireAnswered(message, CONTENT, "comes");
      texts(message, CONTENT, content);
      return;
    }
    boolean several = content.isArray() && !content.isEmpty();
    message.require(several, CONTENT, "is not a string or an array of one block or more");
    for (int i = 0; i < content.size(); i++) {
      Fields block = message.inner("content[" + i + "]", content.get(i));
      String type = block.text("type", "");
      if (speaker.equals("user")) {
        usersBlock(block, type);
      } else {
        assistantsBlock(block, type);
      }
      block.ignore("cache_control");
      block.requireNoOthers();
    }
  }

  /** Begins a turn, unless the message before is of the same role. */
  private void begin(String speaker, Fields fields, String name) {
    if (speaker.equals(role)) {
      return;
    }
    if (!speaker.equals("user")) {
      requireAnswered(fields, name, "comes");
    }
    end();
    role = speaker;
  }

  /** Ends a turn. */
  private void end() {
    read.addAll(results.values());
    if (said || role.equals("assistant")) {
      String reasoning = thoughts.isEmpty() ? null : thoughts.toString();
      read.add(new Message(role, text.toString(), null, reasoning, calls, null));
    }
    said = false;
    text.setLength(0);
    thoughts.setLength(0);
    calls.clear();
    results.clear();
  }

  private void requireAnswered(Fields fields, String name, String verb) {
    fields.require(
        unanswered.isEmpty(),
        name,
        "%s before the tool_result of %s: the turn after calls begins with their results",
        verb,
        Fields.shown(String.join(", ", unanswered)));
  }

  private void usersBlock(Fields block, String type) {
    switch (type) {
      case "text" -> {
        requireAnswered(block, "type", "comes");
        say(block);
      }
      case "tool_result" -> result(block);
      default -> throw unsupported(block, type, "text and tool_result");
    }
  }

  private void result(Fields block) {
    String id = block.text("tool_use_id", "");
    block.require(
        unanswered.remove(id),
        "tool_use_id",
        "is '%s', which is the id of no tool_use before that waits for its result",
        Fields.shown(id));
    MessagesReader content = new MessagesReader();
    if (block.flag("is_error")) {
      content.text.append("Error: "); // templates have no such flag
    }
    JsonNode given = block.take(CONTENT);
    if (given != null) {
      content.texts(block, CONTENT, given);
    }
    block.ignore("toolset_name");
    results.put(
        calledIds.get(id), new Message("tool", content.text.toString(), null, null, List.of(), id));
  }

  private void assistantsBlock(Fields block, String type) {
    switch (type) {
      case "text" -> say(block);
      case "thinking" -> {
        thoughts.append(string(block, "thinking"));
        block.ignore("signature");
      }
      case "redacted_thinking" -> block.ignore("data");
      case "tool_use" -> call(block);
      default -> throw unsupported(block, type, "text, thinking, redacted_thinking and tool_use");
    }
  }

  private void call(Fields block) {
    String id = string(block, "id");
    boolean first = calledIds.putIfAbsent(id, calledIds.size()) == null;
    block.require(first, "id", "is '%s', which is there twice", Fields.shown(id));
    unanswered.add(id);
    JsonNode input = block.required("input");
    block.require(input.isObject(), "input", "is not an object");
    calls.add(new FunctionCall(id, string(block, "name"), input.toString()));
    block.ignore("caller", "toolset_name");
  }

  /** A block of text. In an assistant's turn, thoughts or calls may have cut its text. */
  private void say(Fields block) {
    say(string(block, "text"));
    block.ignore("citations");
  }

  private void say(String line) {
    if (said && !role.equals("assistant")) {
      text.append('\n');
    }
    text.append(line);
    said = true;
  }

  /** A string, or blocks of text. */
  private void texts(Fields fields, String name, JsonNode value) {
    if (value.isString()) {
      say(value.stringValue());
      return;
    }
    fields.require(value.isArray(), name, "is not a string or an array of blocks");
    for (int i = 0; i < value.size(); i++) {
      Fields block = fields.inner(name + "[" + i + "]", value.get(i));
      String type = block.text("type", "");
      if (!type.equals("text")) {
        throw unsupported(block, type, "text");
      }
      say(block);
      block.ignore("cache_control");
      block.requireNoOthers();
    }
  }

  private static String string(Fields fields, String name) {
    JsonNode value = fields.required(name);
    fields.require(value.isString(), name, "is not a string");
    return value.stringValue();
  }

  private static ApiError unsupported(Fields block, String type, String expected) {
    return ApiError.unsupported(
        block.path("type") + " is '" + Fields.shown(type) + "', expected " + expected,
        block.path("type"));
  }
}

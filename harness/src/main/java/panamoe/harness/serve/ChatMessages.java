package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import tools.jackson.databind.JsonNode;

/** Reads the messages of a request, which are OpenAI's. */
record ChatMessages(boolean template, Set<String> calledIds) {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");

  /**
   * Reads them.
   *
   * @param template whether the model has a template, which may show names and reasoning
   * @throws ApiError if they are no conversation, or hold more than text and calls
   */
  static List<Message> of(Fields fields, boolean template) {
    JsonNode messages = fields.required("messages");
    boolean several = messages.isArray() && !messages.isEmpty();
    fields.require(several, "messages", "is not an array of one message or more");
    ChatMessages reader = new ChatMessages(template, new HashSet<>());
    List<Message> read = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      Fields message = fields.inner("messages[" + i + "]", messages.get(i));
      read.add(reader.one(message));
      // What clients send back of an answer where it says nothing.
      message.refuse("function_call", "audio", "refusal", "annotations");
      message.ignore("cache_control");
      message.requireNoOthers();
    }
    return read;
  }

  private Message one(Fields message) {
    String role = message.text("role", "");
    message.require(
        ROLES.contains(role), "role", "is none of system, developer, user, assistant and tool");
    List<FunctionCall> calls = List.of();
    if (role.equals("assistant")) {
      calls = calls(message);
    } else {
      message.refuse("tool_calls");
    }
    String content = content(message, !calls.isEmpty());
    String callId = null;
    if (role.equals("tool")) {
      callId = calledId(message);
    } else {
      message.refuse("tool_call_id");
    }
    String name = null;
    String reasoning = null;
    if (template) {
      name = message.text("name", null);
      reasoning = message.text("reasoning_content", null);
    } else {
      message.refuse("reasoning_content");
      if (role.equals("tool")) {
        message.ignore("name"); // its call has it
      } else {
        message.refuse("name");
      }
    }
    return new Message(role, content, name, reasoning, calls, callId);
  }

  private static String content(Fields message, boolean mayMiss) {
    JsonNode content = message.take("content");
    if (content == null && mayMiss) {
      return "";
    }
    if (content == null) {
      throw message.missing("content");
    }
    if (content.isString()) {
      return content.stringValue();
    }
    message.require(content.isArray(), "content", "is not a string or an array of parts");
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

  /** An assistant's calls: {@code id}, {@code type} and {@code function} of each. */
  private List<FunctionCall> calls(Fields message) {
    JsonNode calls = message.take("tool_calls");
    message.require(calls == null || calls.isArray(), "tool_calls", "is not an array of calls");
    List<FunctionCall> read = new ArrayList<>();
    for (int i = 0; calls != null && i < calls.size(); i++) {
      Fields call = message.inner("tool_calls[" + i + "]", calls.get(i));
      Fields function = call.inner("function");
      call.require(call.text("type", "function").equals("function"), "type", "is not function");
      if (function == null) {
        throw call.missing("function");
      }
      read.add(
          new FunctionCall(
              required(call, "id"), required(function, "name"), function.text("arguments", "")));
      calledIds.add(read.getLast().id());
      try {
        read.getLast().object();
      } catch (IllegalArgumentException _) {
        throw function.wrong("arguments", "is not the text of a JSON object");
      }
      function.requireNoOthers();
      call.ignore("index"); // of a chunk that a client has kept
      call.requireNoOthers();
    }
    return read;
  }

  private static String required(Fields fields, String name) {
    String text = fields.text(name, "");
    if (text.isEmpty()) {
      throw fields.missing(name);
    }
    return text;
  }

  /** The call that a message of the role tool is the result of: an earlier message made it. */
  private String calledId(Fields message) {
    String id = message.text("tool_call_id", "");
    message.require(
        calledIds.contains(id), "tool_call_id", "is not the id of a call in a message before");
    return id;
  }
}

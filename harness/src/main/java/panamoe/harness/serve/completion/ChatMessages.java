package panamoe.harness.serve.completion;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/** Parses the messages of a request in OpenAI's form. */
public record ChatMessages(boolean template, Set<String> calledIds) {
  private static final Set<String> ROLES =
      Set.of("system", "developer", "user", "assistant", "tool");

  /**
   * Parses {@code messages}.
   *
   * @param template whether the model has a template, which may show names and reasoning
   * @throws ApiError if they are not a conversation, or hold more than text and calls
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
      // Clients send these fields of a response back, usually null.
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
        message.ignore("name"); // its call has the name
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
    return text(message, "content", content, List.of("text"), "cache_control");
  }

  /**
   * The text of an array of parts.
   *
   * @param types of parts with text
   * @param ignored fields of parts
   */
  public static String text(
      Fields of, String name, JsonNode parts, List<String> types, String... ignored) {
    of.require(parts.isArray(), name, "is not a string or an array of parts");
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < parts.size(); i++) {
      Fields part = of.inner(name + "[" + i + "]", parts.get(i));
      String type = part.text("type", "");
      if (!types.contains(type)) {
        throw part.unsupported("type", type, String.join(" or ", types));
      }
      text.append(part.text("text", ""));
      part.ignore(ignored);
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
      call.ignore("index"); // from a client that kept a chunk
      call.requireNoOthers();
    }
    return read;
  }

  public static String required(Fields fields, String name) {
    String text = fields.text(name, "");
    if (text.isEmpty()) {
      throw fields.missing(name);
    }
    return text;
  }

  /** The call that a tool's message answers, in an earlier message. */
  private String calledId(Fields message) {
    String id = message.text("tool_call_id", "");
    message.require(
        calledIds.contains(id), "tool_call_id", "is not the id of a call in a message before");
    return id;
  }
}

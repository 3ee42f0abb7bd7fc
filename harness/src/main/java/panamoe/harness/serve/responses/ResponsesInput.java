package panamoe.harness.serve.responses;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedSet;
import java.util.Set;
import panamoe.conversation.Message;
import panamoe.conversation.reply.FunctionCall;
import panamoe.harness.serve.completion.ChatMessages;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import tools.jackson.databind.JsonNode;

/**
 * Reads items of Responses as messages. Thoughts, a message and calls that follow each other are
 * one message of the assistant.
 */
final class ResponsesInput {
  private static final Set<String> ROLES = Set.of("system", "developer", "user", "assistant");
  private static final List<String> TEXT = List.of("input_text", "output_text");

  private final boolean template;
  private final List<Message> messages = new ArrayList<>();
  private final Set<String> called = new HashSet<>();
  private final SequencedSet<String> open = new LinkedHashSet<>(); // called without an output
  // The assistant's message so far.
  private String reasoning = "";
  private String content = "";
  private final List<FunctionCall> calls = new ArrayList<>();

  /**
   * @param template whether the model has a template, which may show thoughts
   */
  ResponsesInput(boolean template) {
    this.template = template;
  }

  /**
   * The messages of all items.
   *
   * @throws ApiError if a call has no output
   */
  List<Message> messages(Fields fields) {
    fields.require(open.isEmpty(), "input", "has no function_call_output of the call %s", first());
    turn();
    return messages;
  }

  private String first() {
    return open.isEmpty() ? "" : Fields.shown(open.getFirst());
  }

  /** Adds a message. */
  void say(String role, String text) {
    messages.add(Message.of(role, text));
  }

  /**
   * Adds an item.
   *
   * @throws ApiError if it is not an item, or answers a call that is not before it
   */
  void add(Fields item) {
    String type = item.text("type", "message");
    boolean whole = !item.text("status", "completed").equals("incomplete");
    switch (type) {
      case "message" -> message(item);
      case "reasoning" -> reasoning(item);
      case "function_call" -> {
        FunctionCall call = call(item);
        if (whole) { // the arguments of another one are cut off
          try {
            call.object();
          } catch (IllegalArgumentException _) {
            throw item.wrong("arguments", "is not the text of a JSON object");
          }
          called.add(call.id());
          open.add(call.id());
          calls.add(call);
        }
      }
      case "function_call_output" -> output(item);
      default ->
          throw item.unsupported(
              "type", type, "message, reasoning, function_call or function_call_output");
    }
    item.ignore("id");
    item.requireNoOthers();
  }

  private void message(Fields item) {
    String role = item.text("role", "");
    item.require(ROLES.contains(role), "role", "is not system, developer, user or assistant");
    String text = text(item, "content", TEXT);
    item.ignore("phase");
    if (!role.equals("assistant")) {
      turn();
      say(role, text);
      return;
    }
    if (!calls.isEmpty() || !content.isEmpty()) {
      turn();
    }
    content = text;
  }

  private void reasoning(Fields item) {
    if (!template) {
      throw item.unsupported("type", "reasoning", "another type: the model has no chat template");
    }
    if (!calls.isEmpty() || !content.isEmpty()) {
      turn();
    }
    JsonNode thoughts = item.take("content");
    String summary = text(item, "summary", List.of("summary_text"));
    item.refuse("encrypted_content");
    reasoning +=
        thoughts == null
            ? summary
            : ChatMessages.text(item, "content", thoughts, List.of("reasoning_text"));
  }

  private static FunctionCall call(Fields item) {
    FunctionCall call =
        new FunctionCall(
            ChatMessages.required(item, "call_id"),
            ChatMessages.required(item, "name"),
            item.text("arguments", ""));
    item.ignore("parsed_arguments"); // from a client that parsed them
    return call;
  }

  private void output(Fields item) {
    String id = ChatMessages.required(item, "call_id");
    String text = text(item, "output", TEXT);
    item.require(called.contains(id), "call_id", "is not the call_id of a function_call before it");
    item.require(open.remove(id), "call_id", "is that of an earlier function_call_output, too");
    turn();
    messages.add(new Message("tool", text, null, null, List.of(), id));
  }

  private static String text(Fields item, String name, List<String> types) {
    JsonNode text = item.required(name);
    return text.isString()
        ? text.stringValue()
        : ChatMessages.text(item, name, text, types, "annotations", "logprobs", "parsed");
  }

  /** Ends the assistant's message. */
  private void turn() {
    if (!reasoning.isEmpty() || !content.isEmpty() || !calls.isEmpty()) {
      String thoughts = reasoning.isEmpty() ? null : reasoning;
      messages.add(new Message("assistant", content, null, thoughts, calls, null));
    }
    reasoning = "";
    content = "";
    calls.clear();
  }
}

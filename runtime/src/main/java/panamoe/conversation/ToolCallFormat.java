package panamoe.conversation;

import java.util.List;
import java.util.Optional;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How a template expects calls in messages.
 *
 * @param objects whether arguments are objects, as in most templates; else JSON in a string, as in
 *     OpenAI's API
 * @param content whether a message with calls only has an empty content; else null
 */
public record ToolCallFormat(boolean objects, boolean content) {
  /** The format of most templates. */
  static final ToolCallFormat USUAL = new ToolCallFormat(true, true);

  private static final List<ToolCallFormat> ALL =
      List.of(
          USUAL,
          new ToolCallFormat(true, false),
          new ToolCallFormat(false, true),
          new ToolCallFormat(false, false));

  /** The function that a trial calls. */
  static final String NAME = "count_votes";

  /** The first format in which the template renders a call, else the usual one. */
  static ToolCallFormat of(ChatTemplate template) {
    return ALL.stream()
        .filter(shape -> shape.trial(template).isPresent())
        .findFirst()
        .orElse(USUAL);
  }

  /** A conversation that ends with a call of {@link #NAME}, if the template shows it. */
  Optional<Prompt> trial(ChatTemplate template) {
    FunctionCall call = new FunctionCall("callvotes", NAME, "{\"side\": \"ayes\"}");
    List<Message> messages =
        List.of(
            Message.of("user", "Hello"),
            new Message("assistant", "", null, null, List.of(call), null));
    try {
      ArrayNode tools = JsonNodeFactory.instance.arrayNode();
      ObjectNode variables = JsonNodeFactory.instance.objectNode();
      Prompt prompt = template.render(json(messages), tools, false, variables);
      String text = prompt.text();
      int name = text.indexOf(NAME);
      boolean shown = name >= 0 && text.indexOf("ayes", name) > name && !text.contains("\\\"ayes");
      return shown ? Optional.of(prompt) : Optional.empty();
    } catch (TemplateException _) {
      return Optional.empty();
    }
  }

  /**
   * Messages in OpenAI's form with calls in this format.
   *
   * @throws IllegalArgumentException if the arguments of a call are not the text of a JSON object
   */
  ArrayNode json(List<Message> messages) {
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    for (Message message : messages) {
      List<FunctionCall> calls = message.calls();
      ObjectNode json = all.addObject().put("role", message.role());
      boolean silent = !content && !calls.isEmpty() && message.content().isEmpty();
      json.put("content", silent ? null : message.content());
      ArrayNode called = calls.isEmpty() ? null : json.putArray("tool_calls");
      for (FunctionCall call : calls) {
        ObjectNode arguments = call.object();
        ObjectNode function =
            called
                .addObject()
                .put("id", call.id())
                .put("type", "function")
                .putObject("function")
                .put("name", call.name());
        if (objects) {
          function.set("arguments", arguments);
        } else {
          function.put("arguments", call.arguments());
        }
      }
      put(json, "tool_call_id", message.callId());
      put(json, "name", message.name());
      put(json, "reasoning_content", message.reasoning());
    }
    return all;
  }

  private static void put(ObjectNode json, String field, String value) {
    if (value != null) {
      json.put(field, value);
    }
  }
}

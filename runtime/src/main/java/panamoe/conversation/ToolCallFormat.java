package panamoe.conversation;

import java.util.List;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How a template wants the calls in messages.
 *
 * @param objects whether arguments are objects, as most want them; else the text of one, as
 *     OpenAI's
 * @param content whether a message that only calls has a content, an empty one; else null
 */
public record ToolCallFormat(boolean objects, boolean content) {
  /** Most templates'. */
  static final ToolCallFormat USUAL = new ToolCallFormat(true, true);

  private static final List<ToolCallFormat> ALL =
      List.of(
          USUAL,
          new ToolCallFormat(true, false),
          new ToolCallFormat(false, true),
          new ToolCallFormat(false, false));

  private static final String NAME = "count_votes";

  /** The first shape in which the template shows a call, or the usual shape. */
  static ToolCallFormat of(ChatTemplate template) {
    return ALL.stream().filter(shape -> shape.isShown(template)).findFirst().orElse(USUAL);
  }

  private boolean isShown(ChatTemplate template) {
    FunctionCall call = new FunctionCall("callvotes", NAME, "{\"side\": \"ayes\"}");
    List<Message> messages =
        List.of(
            Message.of("user", "Hello"),
            new Message("assistant", "", null, null, List.of(call), null));
    try {
      ArrayNode tools = JsonNodeFactory.instance.arrayNode();
      ObjectNode variables = JsonNodeFactory.instance.objectNode();
      String text = template.render(json(messages), tools, false, variables).text();
      int name = text.indexOf(NAME);
      return name >= 0 && text.indexOf("ayes", name) > name && !text.contains("\\\"ayes");
    } catch (TemplateException _) {
      return false;
    }
  }

  /**
   * Messages as OpenAI's in this shape.
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

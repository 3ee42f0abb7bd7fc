package panamoe.harness.serve;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;

/**
 * How a template wants the calls in messages.
 *
 * @param objects whether arguments are objects, as most want them; else the text of one, as
 *     OpenAI's
 * @param content whether a message that only calls has a content, an empty one; else null
 */
record CallShape(boolean objects, boolean content) {
  static final CallShape USUAL = new CallShape(true, true);

  private static final List<CallShape> ALL =
      List.of(
          USUAL,
          new CallShape(true, false),
          new CallShape(false, true),
          new CallShape(false, false));

  private static final String NAME = "count_votes";

  /** The first shape in which the template shows a call, or the usual shape. */
  static CallShape of(ChatTemplate template) {
    return ALL.stream().filter(shape -> shape.isShown(template)).findFirst().orElse(USUAL);
  }

  private boolean isShown(ChatTemplate template) {
    ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    messages.addObject().put("role", "user").put("content", "Hello");
    messages
        .addObject()
        .put("role", "assistant")
        .put("content", "")
        .putArray("tool_calls")
        .addObject()
        .put("id", "callvotes")
        .put("type", "function")
        .putObject("function")
        .put("name", NAME)
        .put("arguments", "{\"side\": \"ayes\"}");
    try {
      String text =
          template
              .render(
                  of(messages),
                  JsonNodeFactory.instance.arrayNode(),
                  false,
                  JsonNodeFactory.instance.objectNode())
              .text();
      int name = text.indexOf(NAME);
      return name >= 0 && text.indexOf("ayes", name) > name && !text.contains("\\\"ayes");
    } catch (TemplateException _) {
      return false;
    }
  }

  /** Messages in this shape, from OpenAI's with contents that are strings. */
  ArrayNode of(ArrayNode messages) {
    ArrayNode shaped = messages.deepCopy();
    for (JsonNode message : shaped) {
      JsonNode calls = message.path("tool_calls");
      if (!content && !calls.isEmpty() && message.path("content").textValue().isEmpty()) {
        ((ObjectNode) message).putNull("content");
      }
      for (JsonNode call : calls) {
        ObjectNode function = (ObjectNode) call.path("function");
        if (objects) {
          function.set("arguments", Json.written(function.path("arguments").textValue()));
        }
      }
    }
    return shaped;
  }
}

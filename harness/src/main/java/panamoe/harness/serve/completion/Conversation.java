package panamoe.harness.serve.completion;

import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Message;
import panamoe.conversation.Tools;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.model.Constraints;
import panamoe.harness.serve.model.ToolFields;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A conversation that the model continues, whichever API it came by.
 *
 * @param tools that the reply may call
 * @param json whether the reply's content must be JSON
 */
public record Conversation(ChatFormat chat, Prompt prompt, Tools tools, boolean json) {
  /** Further variables of the template. */
  private static final String VARIABLES = "chat_template_kwargs";

  private static final String EFFORT = "reasoning_effort";

  /** A request of chat completions. */
  public static Conversation of(Fields fields, ChatFormat chat) {
    return of(fields, ChatMessages.of(fields, chat.template().isPresent()), chat);
  }

  /**
   * Reads functions and variables of the template, which have the names of chat completions.
   *
   * @throws ApiError if they are wrong, or the template refuses the messages
   */
  public static Conversation of(Fields fields, List<Message> messages, ChatFormat chat) {
    Tools tools = ToolFields.of(fields);
    try {
      Prompt prompt = chat.prompt(messages, tools, variables(fields, chat));
      return new Conversation(chat, prompt, tools, Constraints.isFormat(fields));
    } catch (TemplateException e) {
      throw ApiError.invalid(e.reason(), fields.path("messages"));
    }
  }

  /** Sets the variables by which templates let a model think, or keep it from thinking. */
  public static void think(Fields fields, String field, boolean thinks, ChatFormat chat) {
    if (chat.template().isPresent()) {
      ObjectNode variables = JsonNodeFactory.instance.objectNode();
      variables.put("enable_thinking", thinks).put("thinking", thinks);
      fields.translate(field, VARIABLES, variables);
    }
  }

  public int[] tokens() {
    return chat.tokens(prompt);
  }

  /** Begins a choice that continues it. */
  StreamedChoice choice() {
    return new StreamedChoice(chat.repliesPlainly(tools) ? null : chat.reply(prompt, json, tools));
  }

  private static ObjectNode variables(Fields fields, ChatFormat chat) {
    // Templates ignore variables that they do not know.
    String effort = fields.text(EFFORT, null);
    if (effort != null && !chat.efforts().contains(effort)) {
      throw fields.wrong(EFFORT, "is not one of " + String.join(", ", chat.efforts()));
    }
    if (chat.template().isEmpty()) {
      fields.refuse(VARIABLES);
      return JsonNodeFactory.instance.objectNode();
    }
    JsonNode given = fields.take(VARIABLES);
    fields.require(given == null || given.isObject(), VARIABLES, "is not an object");
    ObjectNode variables =
        given == null ? JsonNodeFactory.instance.objectNode() : ((ObjectNode) given).deepCopy();
    if (effort != null) {
      variables.put(EFFORT, effort);
    }
    return variables;
  }
}

package panamoe.harness.serve;

import java.util.List;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Message;
import panamoe.conversation.Tools;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The fields of a conversation: messages, functions, and variables of the template. */
final class ChatFields {
  /** Further variables of the template. */
  private static final String VARIABLES = "chat_template_kwargs";

  private static final String EFFORT = "reasoning_effort";

  private ChatFields() {}

  /**
   * The prompt of a request's {@code messages}.
   *
   * @throws ApiError if they are not a conversation, or the template refuses them
   */
  static Prompt prompt(Fields fields, ChatFormat chat, Tools tools) {
    List<Message> messages = ChatMessages.of(fields, chat.template().isPresent());
    try {
      return chat.prompt(messages, tools, variables(fields, chat));
    } catch (TemplateException e) {
      throw ApiError.invalid(e.reason(), "messages");
    }
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

package panamoe.spring.ai;

import java.util.List;
import java.util.stream.Stream;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.content.MediaContent;
import panamoe.text.ChatMessage;
import panamoe.text.ToolCall;

/** Spring AI's messages as the facade's. */
final class Messages {
  /** The property of an assistant's message that has its thoughts. */
  static final String THINKING = "thinking";

  private Messages() {}

  static List<ChatMessage> of(List<Message> messages) {
    return messages.stream().flatMap(Messages::of).toList();
  }

  private static Stream<ChatMessage> of(Message message) {
    if (message instanceof MediaContent content && !content.getMedia().isEmpty()) {
      throw new IllegalArgumentException(
          "a message has " + content.getMedia().size() + " media: the model reads text alone");
    }
    return switch (message) {
      case SystemMessage system -> Stream.of(ChatMessage.system(text(system)));
      case UserMessage user -> Stream.of(ChatMessage.user(text(user)));
      case AssistantMessage answer -> Stream.of(assistant(answer));
      case ToolResponseMessage results -> results.getResponses().stream().map(Messages::tool);
      default ->
          throw new IllegalArgumentException(
              "a message of type "
                  + message.getMessageType()
                  + ": the model reads system, user, assistant and tool messages");
    };
  }

  private static ChatMessage assistant(AssistantMessage answer) {
    return new ChatMessage(
        "assistant",
        text(answer),
        null,
        (String) answer.getMetadata().get(THINKING),
        answer.getToolCalls().stream()
            .map(call -> new ToolCall(call.id(), call.name(), call.arguments()))
            .toList(),
        null);
  }

  private static ChatMessage tool(ToolResponseMessage.ToolResponse result) {
    return new ChatMessage(
        "tool", result.responseData(), result.name(), null, List.of(), result.id());
  }

  private static String text(Message message) {
    return PanamoeChatOptions.or(message.getText(), "");
  }
}

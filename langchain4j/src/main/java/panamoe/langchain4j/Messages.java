package panamoe.langchain4j;

import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import panamoe.text.ToolCall;

/** LangChain4j's messages as the facade's messages. */
final class Messages {
  private Messages() {}

  static List<panamoe.text.ChatMessage> of(List<ChatMessage> messages) {
    return messages.stream().map(Messages::of).toList();
  }

  static panamoe.text.ChatMessage of(ChatMessage message) {
    return switch (message) {
      case SystemMessage system -> panamoe.text.ChatMessage.system(system.text());
      case UserMessage user ->
          new panamoe.text.ChatMessage(
              "user", text(user.contents()), user.name(), null, List.of(), null);
      case AiMessage answer ->
          new panamoe.text.ChatMessage(
              "assistant",
              Conversation.or(answer.text(), ""),
              null,
              answer.thinking(),
              answer.toolExecutionRequests().stream()
                  .map(call -> new ToolCall(call.id(), call.name(), call.arguments()))
                  .toList(),
              null);
      case ToolExecutionResultMessage result ->
          new panamoe.text.ChatMessage(
              "tool", result.text(), result.toolName(), null, List.of(), result.id());
      default ->
          throw new UnsupportedFeatureException(
              "a message of type "
                  + message.type()
                  + ": the model reads system, user, AI and tool messages");
    };
  }

  private static String text(List<Content> contents) {
    return contents.stream().map(Messages::text).collect(Collectors.joining("\n"));
  }

  private static String text(Content content) {
    if (content instanceof TextContent text) {
      return text.text();
    }
    throw new UnsupportedFeatureException(
        content.type().name().toLowerCase(Locale.ROOT)
            + " content is not supported: the model reads text alone");
  }
}

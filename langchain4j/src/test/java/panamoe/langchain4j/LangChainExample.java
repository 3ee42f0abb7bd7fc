package panamoe.langchain4j;

import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import java.nio.file.Path;
import panamoe.text.TextService;

/** Snippets of docs/frameworks.md. */
final class LangChainExample {
  private LangChainExample() {}

  static String ask(Path path) {
    // @start region="chat"
    try (TextService service = TextService.open(path)) { // also Path.of("hf:Qwen/...-GGUF:Q4_K_M")
      ChatModel model = PanamoeChatModel.of(service);
      return model.chat("What is the capital of Germany?");
    }
    // @end
  }

  static String parameters(ChatModel model) {
    // @start region="parameters"
    ChatParameters parameters =
        ChatParameters.builder()
            .maxOutputTokens(40)
            .temperature(0.7)
            .seed(1L)
            .responseFormat(ResponseFormat.JSON)
            .build();
    ChatRequest request =
        ChatRequest.builder()
            .messages(UserMessage.from("A city, as JSON"))
            .parameters(parameters)
            .build();
    return model.chat(request).aiMessage().text();
    // @end
  }
}

package example;

import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.nio.file.Path;
import java.util.function.Supplier;
import org.eclipse.microprofile.config.inject.ConfigProperty;
import panamoe.langchain4j.ChatParameters;
import panamoe.langchain4j.PanamoeChatModel;
import panamoe.langchain4j.PanamoeStreamingChatModel;
import panamoe.text.TextService;

/** Opens the model when it is first asked, and closes it when the application ends. */
class Models {
  private static final ChatParameters PARAMETERS =
      ChatParameters.builder().temperature(0.0).maxOutputTokens(400).build();

  // @start region="supplier"
  @Produces
  @Singleton
  TextService service(@ConfigProperty(name = "model") String path) {
    return TextService.open(Path.of(path));
  }

  void close(@Disposes TextService service) {
    service.close();
  }

  /** For {@code @RegisterAiService(chatLanguageModelSupplier = ...)}. */
  @Singleton
  static class Chat implements Supplier<ChatModel> {
    @Inject TextService service;

    @Override
    public ChatModel get() {
      return PanamoeChatModel.builder()
          .service(service)
          .defaultRequestParameters(PARAMETERS)
          .build();
    }
  }
  // @end

  /** For {@code @RegisterAiService(streamingChatLanguageModelSupplier = ...)}. */
  @Singleton
  static class Streaming implements Supplier<StreamingChatModel> {
    @Inject TextService service;

    @Override
    public StreamingChatModel get() {
      return PanamoeStreamingChatModel.builder()
          .service(service)
          .defaultRequestParameters(PARAMETERS)
          .build();
    }
  }
}

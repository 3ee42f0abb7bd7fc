package panamoe.langchain4j;

import dev.langchain4j.exception.InternalServerException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelListenerIT;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/** LangChain4j's own tests of listeners. */
class FrameworkChatListenerTest extends AbstractChatModelListenerIT {
  @TempDir private static Path folder;
  private static TextService service;

  @BeforeAll
  static void open() {
    service = TinyChat.open(folder);
  }

  @AfterAll
  static void close() {
    service.close();
  }

  @Override
  protected ChatModel createModel(ChatModelListener listener) {
    return over(service, listener);
  }

  @Override
  protected ChatModel createFailingModel(ChatModelListener listener) {
    TextService closed = TextService.of(service.model(), ServiceOptions.USUAL);
    closed.closeWhenIdle(Duration.ZERO);
    return over(closed, listener);
  }

  private ChatModel over(TextService of, ChatModelListener listener) {
    ChatParameters parameters =
        ChatParameters.builder()
            .modelName(modelName())
            .temperature(temperature())
            .topP(topP())
            .maxOutputTokens(maxTokens())
            .build();
    return PanamoeChatModel.builder()
        .service(of)
        .modelName(modelName())
        .defaultRequestParameters(parameters)
        .listeners(List.of(listener))
        .build();
  }

  @Override
  protected String modelName() {
    return "tiny";
  }

  @Override
  protected Class<? extends Exception> expectedExceptionClass() {
    return InternalServerException.class;
  }
}

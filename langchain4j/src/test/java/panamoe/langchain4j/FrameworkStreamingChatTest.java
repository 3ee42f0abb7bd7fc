package panamoe.langchain4j;

import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.common.AbstractStreamingChatModelIT;
import dev.langchain4j.model.chat.common.StreamingMode;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import panamoe.text.TextService;

/**
 * LangChain4j's own tests of a model. Those that need knowledge or wit, at the end, are left out;
 * {@link PanamoeChatModelTest} tests the same parts with what a tiny model can answer.
 */
class FrameworkStreamingChatTest extends AbstractStreamingChatModelIT {
  private static final ChatParameters SHORT = ChatParameters.builder().maxOutputTokens(20).build();

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
  protected List<StreamingChatModel> baseModels() {
    return List.of(
        PanamoeStreamingChatModel.builder()
            .service(service)
            .defaultRequestParameters(SHORT)
            .build());
  }

  @Override
  protected StreamingChatModel createModelWith(ChatRequestParameters parameters) {
    return PanamoeStreamingChatModel.builder()
        .service(service)
        .defaultRequestParameters(parameters)
        .build();
  }

  @Override
  public StreamingChatModel createModelWith(ChatModelListener listener) {
    return PanamoeStreamingChatModel.builder()
        .service(service)
        .defaultRequestParameters(SHORT)
        .listeners(List.of(listener))
        .build();
  }

  @Override
  protected List<StreamingMode> streamingModes() {
    return List.of(StreamingMode.values());
  }

  @Override
  protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
    return ChatParameters.builder().maxOutputTokens(maxOutputTokens).build();
  }

  @Override
  protected String customModelName() {
    return "tiny";
  }

  @Override
  protected boolean supportsStreamingCancellation() {
    return false; // waits half a minute for what must not come; PanamoeChatModelTest tests it
  }

  @Override
  protected boolean supportsModelNameParameter() {
    return false; // a service has one model
  }

  @Override
  protected boolean supportsSingleImageInputAsBase64EncodedString() {
    return false;
  }

  @Override
  protected boolean supportsMultipleImageInputsAsBase64EncodedStrings() {
    return false;
  }

  @Override
  protected boolean supportsSingleImageInputAsPublicURL() {
    return false;
  }

  @Override
  protected boolean supportsMultipleImageInputsAsPublicURLs() {
    return false;
  }

  @Override
  protected void should_force_LLM_to_execute_any_tool(StreamingChatModel model) {}

  @Override
  protected void should_force_LLM_to_execute_specific_tool(StreamingChatModel model) {}

  @Override
  protected void should_respect_stopSequences_in_chat_request(StreamingChatModel model) {}

  @Override
  protected void should_execute_a_tool_then_answer_respecting_JSON_response_format_with_schema(
      StreamingChatModel model) {}

  @Override
  protected void should_respect_user_message(StreamingChatModel model) {}

  @Override
  protected void should_respect_system_message(StreamingChatModel model) {}

  @Override
  protected void should_respect_multiple_messages(StreamingChatModel model) {}

  @Override
  protected void should_execute_a_tool_without_arguments_then_answer(StreamingChatModel model) {}

  @Override
  protected void should_execute_a_tool_then_answer(StreamingChatModel model) {}

  @Override
  protected void should_execute_multiple_tools_in_parallel_then_answer(StreamingChatModel model) {}

  @Override
  protected void should_respect_JSON_response_format_with_schema(StreamingChatModel model) {}

  @Override
  protected void should_respect_JSON_response_format(StreamingChatModel model) {}

  @Override
  protected void should_respect_JsonRawSchema_responseFormat(StreamingChatModel model) {}

  @Override
  protected void should_respect_stopSequences_in_default_model_parameters() {}
}

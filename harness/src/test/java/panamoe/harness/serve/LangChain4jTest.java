package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonEnumSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiChatRequestParameters;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;

/** LangChain4j as a client of the server; ci/slow.d/clients runs more clients. */
@Timeout(120)
class LangChain4jTest {
  private static final String CALL =
      "<tool_call>{\"name\": \"vote\", \"arguments\": {\"side\": \"noes\"}}</tool_call>";
  private static final ToolSpecification VOTE =
      ToolSpecification.builder()
          .name("vote")
          .parameters(
              JsonObjectSchema.builder()
                  .addProperty("side", JsonEnumSchema.builder().enumValues("ayes", "noes").build())
                  .required("side")
                  .build())
          .build();

  private static TestServer scripted(String text) throws Exception {
    EngineConfig config = new EngineConfig(100, 16, 4, 64, 0.25, true, 0);
    return new TestServer(new ByteTokenizer(), 1000, ScriptedEngine.of(config, 1000, text));
  }

  private static String url(TestServer server) {
    return "http://127.0.0.1:" + server.server.port() + "/v1";
  }

  private static ChatRequest request(OpenAiChatRequestParameters.Builder parameters) {
    return ChatRequest.builder()
        .messages(UserMessage.from("Vote."))
        .parameters(parameters.modelName(TestServer.MODEL).build())
        .build();
  }

  private static ChatResponse whole(
      TestServer server, OpenAiChatRequestParameters.Builder parameters) {
    return OpenAiChatModel.builder()
        .baseUrl(url(server))
        .apiKey("none")
        .maxRetries(0)
        .build()
        .chat(request(parameters));
  }

  private static ChatResponse streamed(
      TestServer server, OpenAiChatRequestParameters.Builder parameters, AtomicInteger pieces) {
    CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    OpenAiStreamingChatModel.builder()
        .baseUrl(url(server))
        .apiKey("none")
        .build()
        .chat(
            request(parameters),
            new StreamingChatResponseHandler() {
              @Override
              public void onPartialResponse(String piece) {
                pieces.incrementAndGet();
              }

              @Override
              public void onCompleteResponse(ChatResponse response) {
                whole.complete(response);
              }

              @Override
              public void onError(Throwable error) {
                whole.completeExceptionally(error);
              }
            });
    return whole.join();
  }

  private static OpenAiChatRequestParameters.Builder plain() {
    return OpenAiChatRequestParameters.builder();
  }

  @Test
  void anAnswerIsTheSameWholeAndInPieces() throws Exception {
    try (TestServer server = scripted("The ayes have it.")) {
      ChatResponse whole = whole(server, plain());
      assertEquals("The ayes have it.", whole.aiMessage().text());
      assertEquals(FinishReason.STOP, whole.finishReason());
      AtomicInteger pieces = new AtomicInteger();
      ChatResponse streamed = streamed(server, plain(), pieces);
      assertEquals(whole.aiMessage(), streamed.aiMessage());
      assertEquals(whole.tokenUsage().totalTokenCount(), streamed.tokenUsage().totalTokenCount());
      assertEquals(17, pieces.get());
    }
  }

  @Test
  void callsArrive() throws Exception {
    try (TestServer server = scripted("Let me see. " + CALL)) {
      ChatResponse whole = whole(server, plain().toolSpecifications(VOTE));
      assertEquals("Let me see. ", whole.aiMessage().text());
      assertEquals(FinishReason.TOOL_EXECUTION, whole.finishReason());
      ChatResponse streamed =
          streamed(server, plain().toolSpecifications(VOTE), new AtomicInteger());
      assertEquals("Let me see. ", streamed.aiMessage().text());
      for (ChatResponse answer : new ChatResponse[] {whole, streamed}) {
        ToolExecutionRequest call = answer.aiMessage().toolExecutionRequests().getFirst();
        assertEquals("vote", call.name());
        assertEquals("{\"side\": \"noes\"}", call.arguments());
        assertTrue(call.id().startsWith("call_"));
      }
      ChatResponse must =
          whole(
              server,
              plain()
                  .toolSpecifications(VOTE)
                  .toolChoice(ToolChoice.REQUIRED)
                  .parallelToolCalls(false));
      assertEquals(1, must.aiMessage().toolExecutionRequests().size());
    }
  }

  @Test
  void errorsAreErrors() throws Exception {
    try (TestServer server = new TestServer()) {
      InvalidRequestException wrong =
          assertThrows(
              InvalidRequestException.class, () -> whole(server, plain().maxOutputTokens(-1)));
      assertTrue(wrong.getMessage().contains("max_tokens"), wrong::getMessage);
    }
  }
}

package panamoe.langchain4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InternalServerException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialToolCall;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;

/** Requests of LangChain4j, answered by a tiny model. */
@Timeout(120)
class PanamoeChatModelTest {
  private static final JsonObjectSchema SIDE =
      JsonObjectSchema.builder()
          .addEnumProperty("side", List.of("ayes", "noes"))
          .required("side")
          .additionalProperties(false)
          .build();
  private static final ToolSpecification VOTE =
      ToolSpecification.builder().name("vote").description("Counts.").parameters(SIDE).build();

  @TempDir private static Path folder;
  private static TextService service;
  private static PanamoeChatModel model;
  private static PanamoeStreamingChatModel streaming;

  @BeforeAll
  static void open() {
    service = TinyChat.open(folder);
    model = PanamoeChatModel.of(service);
    streaming = PanamoeStreamingChatModel.of(service);
  }

  @AfterAll
  static void close() {
    service.close();
  }

  private static ChatRequest.Builder asking(ChatMessage... messages) {
    return ChatRequest.builder()
        .messages(messages.length == 0 ? List.of(UserMessage.from("the cat")) : List.of(messages));
  }

  private static ChatRequest sampled(ChatRequest.Builder request, ChatParameters.Builder own) {
    return request.parameters(own.build()).build();
  }

  private static ChatParameters.Builder tokens(int most) {
    return ChatParameters.builder().maxOutputTokens(most).temperature(1.0).seed(7L);
  }

  @Test
  void aReplyHasItsTextItsUsageAndItsEnd() {
    ChatResponse reply = model.chat(sampled(asking(), tokens(12)));
    assertEquals(12, reply.tokenUsage().outputTokenCount());
    assertTrue(reply.tokenUsage().inputTokenCount() > 5);
    assertEquals(FinishReason.LENGTH, reply.finishReason());
    assertEquals("panamoe", reply.modelName());
    assertFalse(reply.aiMessage().text().isEmpty());
    ChatResponse again = model.chatAsync(sampled(asking(), tokens(12))).join();
    assertEquals(reply.aiMessage(), again.aiMessage());
    ChatResponse other = model.chat(sampled(asking(), tokens(12).seed(8L)));
    assertFalse(reply.aiMessage().equals(other.aiMessage()));
  }

  @Test
  void defaultsGiveWayToTheRequest() {
    PanamoeChatModel short3 =
        PanamoeChatModel.builder()
            .service(service)
            .modelName("tiny")
            .defaultRequestParameters(tokens(3).build())
            .build();
    ChatResponse reply = short3.chat(asking().build());
    assertEquals(3, reply.tokenUsage().outputTokenCount());
    assertEquals("tiny", reply.modelName());
    assertEquals(
        5, short3.chat(asking().maxOutputTokens(5).build()).tokenUsage().outputTokenCount());
    assertEquals(
        model.chat(sampled(asking(), tokens(5))).aiMessage(),
        short3.chat(asking().maxOutputTokens(5).build()).aiMessage()); // the seed is the default's
    assertThrows(
        UnsupportedFeatureException.class, () -> short3.chat(asking().modelName("other").build()));
  }

  /** Each kind of message reaches the template. */
  @Test
  void messagesAreCountedAsTheModelReadsThem() {
    PanamoeTokenCountEstimator counter = PanamoeTokenCountEstimator.of(service.model());
    ToolExecutionRequest call =
        ToolExecutionRequest.builder().id("1").name("vote").arguments("{}").build();
    List<ChatMessage> conversation =
        List.of(
            SystemMessage.from("Speak of hats."),
            UserMessage.from("the cat"),
            AiMessage.from(List.of(call)),
            ToolExecutionResultMessage.from(call, "ayes"));
    int before = 0;
    for (int i = 1; i <= conversation.size(); i++) {
      int now = counter.estimateTokenCountInMessages(conversation.subList(0, i));
      assertTrue(now > before, "message " + i);
      before = now;
    }
    assertEquals(1, counter.estimateTokenCountInText("  "));
    ChatRequest request = sampled(ChatRequest.builder().messages(conversation), tokens(1));
    assertEquals(before, model.chat(request).tokenUsage().inputTokenCount());
  }

  @Test
  void aFormatIsKeptWhileTokensAreSampled() {
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormatType.JSON)
            .jsonSchema(JsonSchema.builder().name("vote").rootElement(SIDE).build())
            .build();
    ChatResponse reply = model.chat(sampled(asking(), tokens(80).responseFormat(format)));
    String text = reply.aiMessage().text().replaceAll("\\s", "");
    assertTrue(text.equals("{\"side\":\"ayes\"}") || text.equals("{\"side\":\"noes\"}"), text);
    assertEquals(FinishReason.STOP, reply.finishReason());
    ChatResponse any =
        model.chat(sampled(asking(), tokens(20).responseFormat(ResponseFormat.JSON)));
    assertTrue(any.aiMessage().text().strip().startsWith("{"), any.aiMessage().text());
  }

  @Test
  void toolsAreCalledAndStreamed() {
    ChatParameters.Builder calling =
        tokens(200)
            .parallelToolCalls(false)
            .toolSpecifications(VOTE)
            .toolChoice(ToolChoice.REQUIRED);
    ChatResponse reply = model.chat(sampled(asking(), calling));
    ToolExecutionRequest call = reply.aiMessage().toolExecutionRequests().getFirst();
    assertEquals("vote", call.name());
    assertTrue(
        call.arguments().matches("\\s*\\{\\s*\"side\"\\s*:\\s*\"(ayes|noes)\"\\s*}\\s*"),
        call.arguments());
    assertEquals(FinishReason.TOOL_EXECUTION, reply.finishReason());
    assertNull(reply.aiMessage().text());

    Collected stream = new Collected(Integer.MAX_VALUE);
    streaming.chat(sampled(asking(), calling), stream);
    List<ToolExecutionRequest> calls = stream.whole.join().aiMessage().toolExecutionRequests();
    assertEquals(reply.aiMessage().toolExecutionRequests().size(), calls.size());
    assertEquals(calls, stream.calls.stream().map(CompleteToolCall::toolExecutionRequest).toList());
    assertEquals(calls.getFirst().arguments(), stream.arguments.toString());

    ChatResponse none =
        model.chat(sampled(asking(), calling.toolChoice(ToolChoice.NONE).maxOutputTokens(8)));
    assertTrue(none.aiMessage().toolExecutionRequests().isEmpty());
  }

  @Test
  void streamsGiveTheSameReply() {
    ChatRequest request = sampled(asking(), tokens(30));
    Collected stream = new Collected(Integer.MAX_VALUE);
    streaming.chat(request, stream);
    assertEquals(model.chat(request).aiMessage(), stream.whole.join().aiMessage());
    assertEquals(stream.whole.join().aiMessage().text(), stream.pieces.toString());
  }

  @Test
  void cancelledStreamsEndAtOnce() {
    Collected left = new Collected(3);
    streaming.chat(sampled(asking(), tokens(4000)), left);
    left.cancelled.join();
    awaitIdle();
    assertFalse(left.whole.isDone());
    CompletableFuture<ChatResponse> reply = model.chatAsync(sampled(asking(), tokens(4000)));
    reply.cancel(false);
    awaitIdle();
  }

  @Test
  void aHandlerThatThrowsHearsOfIt() throws InterruptedException {
    CountDownLatch heard = new CountDownLatch(1);
    streaming.chat(
        sampled(asking(), tokens(5)),
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String text) {
            throw new IllegalStateException("full");
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {}

          @Override
          public void onError(Throwable error) {
            heard.countDown();
          }
        });
    heard.await();
  }

  @Test
  void refusalsAreLangChain4js() {
    ImageContent image = ImageContent.from("https://example.org/cat.png");
    assertThrows(
        UnsupportedFeatureException.class,
        () -> model.chat(asking(UserMessage.from(image)).build()));
    assertThrows(
        InvalidRequestException.class, () -> model.chat(sampled(asking(), tokens(5).topP(7.0))));
    assertThrows(
        InvalidRequestException.class,
        () -> model.chat(asking(UserMessage.from("x ".repeat(5000))).build()));
    assertThrows(
        TimeoutException.class,
        () -> model.chat(sampled(asking(), tokens(4000).timeout(Duration.ofMillis(1)))));
    assertThrows(IllegalArgumentException.class, () -> PanamoeChatModel.builder().build());
    Collected wrong = new Collected(1);
    streaming.chat(sampled(asking(), tokens(-1)), wrong);
    CompletionException failure = assertThrows(CompletionException.class, wrong.whole::join);
    assertTrue(failure.getCause() instanceof InvalidRequestException);
  }

  @Test
  void aFullOrClosedServiceSaysSo() {
    ChatRequest request = sampled(asking(), tokens(4000));
    TextService full =
        TextService.of(
            service.model(), ServiceOptions.USUAL.withWaiting(0).withDrain(Duration.ZERO));
    PanamoeChatModel crowded = PanamoeChatModel.of(full);
    List<CompletableFuture<ChatResponse>> replies = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      replies.add(crowded.chatAsync(request));
    }
    assertThrows(RateLimitException.class, () -> crowded.chat(request));
    full.close();
    for (CompletableFuture<ChatResponse> reply : replies) {
      CompletionException failure = assertThrows(CompletionException.class, reply::join);
      assertTrue(failure.getCause() instanceof InternalServerException);
    }
    assertThrows(InternalServerException.class, () -> crowded.chat(request));
  }

  @Test
  void theExamplesRun() {
    assertFalse(LangChainExample.ask(folder).isEmpty());
    assertTrue(LangChainExample.parameters(model).startsWith("{"));
  }

  private static void awaitIdle() {
    while (service.unfinished() > 0) {
      Thread.onSpinWait();
    }
  }

  /** A stream's pieces. It is cancelled after a number of them. */
  private static final class Collected implements StreamingChatResponseHandler {
    final StringBuilder pieces = new StringBuilder();
    final StringBuilder arguments = new StringBuilder();
    final List<CompleteToolCall> calls = new ArrayList<>();
    final CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    final CompletableFuture<Void> cancelled = new CompletableFuture<>();
    private int left;

    Collected(int most) {
      left = most;
    }

    @Override
    public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
      pieces.append(piece.text());
      if (--left == 0) {
        context.streamingHandle().cancel();
        cancelled.complete(null);
      }
    }

    @Override
    public void onPartialToolCall(PartialToolCall part) {
      if (part.index() == 0) {
        arguments.append(part.partialArguments());
      }
    }

    @Override
    public void onCompleteToolCall(CompleteToolCall call) {
      calls.add(call);
    }

    @Override
    public void onCompleteResponse(ChatResponse response) {
      whole.complete(response);
    }

    @Override
    public void onError(Throwable error) {
      whole.completeExceptionally(error);
    }
  }
}

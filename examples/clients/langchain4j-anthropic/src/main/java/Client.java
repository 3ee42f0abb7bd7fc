import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.model.anthropic.AnthropicChatModel;
import dev.langchain4j.model.anthropic.AnthropicChatRequestParameters;
import dev.langchain4j.model.anthropic.AnthropicModelCatalog;
import dev.langchain4j.model.anthropic.AnthropicStreamingChatModel;
import dev.langchain4j.model.anthropic.AnthropicTokenCountEstimator;
import dev.langchain4j.model.anthropic.AnthropicTokenUsage;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonEnumSchema;
import dev.langchain4j.model.chat.request.json.JsonIntegerSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What a client of a Panamoe server does, by LangChain4j's models for Anthropic's API. */
public final class Client {
  private static final Map<String, String> ENVIRONMENT = System.getenv();
  private static final String URL =
      ENVIRONMENT.getOrDefault("BASE_URL", "http://localhost:8080/v1");
  private static final String KEY = ENVIRONMENT.getOrDefault("API_KEY", "none");
  private static final String MODEL =
      AnthropicModelCatalog.builder().baseUrl(URL).apiKey(KEY).build().listModels().get(0).name();
  // seed and ignore_eos are fields of this server.
  private static final AnthropicChatModel CHAT = model(2, 7);
  private static final AnthropicStreamingChatModel STREAM = stream(Map.of("seed", 7));
  private static final AnthropicStreamingChatModel ENDLESS =
      stream(Map.of("seed", 7, "ignore_eos", true));

  private static final List<ChatMessage> MESSAGES =
      List.of(
          SystemMessage.from("Answer like a secretary."),
          UserMessage.from("Whom does the committee thank?"));

  public static void main(String[] arguments) throws InterruptedException {
    said("models", MODEL);

    ChatResponse answer = ask(question());
    String text = answer.aiMessage().text();
    int tokens = answer.tokenUsage().outputTokenCount();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    AnthropicTokenUsage usage = (AnthropicTokenUsage) answer.tokenUsage();
    int counted =
        AnthropicTokenCountEstimator.builder()
            .baseUrl(URL)
            .apiKey(KEY)
            .modelName(MODEL)
            .build()
            .estimateTokenCountInMessages(MESSAGES);
    check(counted == usage.inputTokenCount() + usage.cacheReadInputTokens());
    said("count", counted + " tokens");

    ChatResponse streamed = stream(STREAM, question()).join();
    check(streamed.aiMessage().text().equals(text));
    check(streamed.tokenUsage().outputTokenCount() == tokens);
    said("stream", tokens + " tokens");

    String stop = text.substring(5, 7);
    ChatResponse stopped = ask(question().stopSequences(stop));
    check(stopped.aiMessage().text().equals(text.substring(0, text.indexOf(stop))));
    said("stop", stopped.aiMessage().text() + " before " + stop);

    check(ask(question()).aiMessage().text().equals(text));
    check(!model(2, 8).chat(request(question())).aiMessage().text().equals(text));
    said("seed", "twice the same");

    JsonObjectSchema vote =
        JsonObjectSchema.builder()
            .addProperty("ayes", new JsonIntegerSchema())
            .addEnumProperty("outcome", List.of("adopted", "rejected"))
            .required("ayes", "outcome")
            .additionalProperties(false)
            .build();
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormatType.JSON)
            .jsonSchema(JsonSchema.builder().name("vote").rootElement(vote).build())
            .build();
    String json = ask(question().maxOutputTokens(200).responseFormat(format)).aiMessage().text();
    check(json.matches("\\{\"ayes\": ?-?[0-9]+, ?\"outcome\": ?\"(adopted|rejected)\"}"));
    said("schema", json);

    ToolSpecification count =
        ToolSpecification.builder()
            .name("count_votes")
            .description("Counts the votes of one side.")
            .parameters(
                JsonObjectSchema.builder()
                    .addProperty(
                        "side", JsonEnumSchema.builder().enumValues("ayes", "noes").build())
                    .required("side")
                    .additionalProperties(false)
                    .build())
            .build();
    AnthropicChatRequestParameters.Builder mayCall =
        question().maxOutputTokens(200).toolSpecifications(count).disableParallelToolUse(true);
    ChatResponse asked = ask(mayCall.toolChoice(ToolChoice.REQUIRED));
    check(asked.finishReason() == FinishReason.TOOL_EXECUTION);
    ToolExecutionRequest call = asked.aiMessage().toolExecutionRequests().get(0);
    check(call.name().equals("count_votes"));
    check(call.arguments().contains("ayes") || call.arguments().contains("noes"));
    ChatResponse calledInStream = stream(STREAM, mayCall).join();
    check(calledInStream.aiMessage().toolExecutionRequests().get(0).name().equals(call.name()));
    ChatResponse result =
        CHAT.chat(
            ChatRequest.builder()
                .messages(
                    MESSAGES.get(0),
                    MESSAGES.get(1),
                    asked.aiMessage(),
                    ToolExecutionResultMessage.from(call, "17"))
                .parameters(mayCall.toolChoice(ToolChoice.AUTO).build())
                .build());
    said("tools", call.arguments() + " and goes on: " + result.aiMessage().text());

    try {
      ask(question().maxOutputTokens(-1));
      throw new AssertionError("a wrong request was answered");
    } catch (InvalidRequestException e) {
      check(e.getMessage().contains("max_tokens is -1"));
      said("error", e.getMessage());
    }

    try {
      CHAT.chat(
          ChatRequest.builder()
              .messages(UserMessage.from("the vote ".repeat(100_000)))
              .parameters(question().build())
              .build());
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (InvalidRequestException e) {
      check(e.getMessage().contains("\"error_code\":\"context_length_exceeded\""));
      said("context", e.getMessage());
    }

    if (ENVIRONMENT.containsKey("PLACES")) {
      retry(Integer.parseInt(ENVIRONMENT.get("PLACES")), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    BlockingQueue<StreamingHandle> begun = new LinkedBlockingQueue<>();
    begin(begun);
    begun.take().cancel();
    check(ask(question()).aiMessage().text().equals(text));
    said("disconnect", "the next answer is the same");
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429. The library asks again after a second, a few times.
   */
  private static void retry(int places, String text) throws InterruptedException {
    BlockingQueue<StreamingHandle> busy = new LinkedBlockingQueue<>();
    for (int i = 0; i < places; i++) {
      begin(busy);
    }
    Thread.sleep(1000); // the library does not tell when a stream that waits has been taken
    try {
      model(0, 7).chat(request(question()));
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.getMessage().contains("queue_full"));
    }
    CompletableFuture.runAsync(
        () -> {
          for (int i = 0; i < places; i++) {
            try {
              busy.take().cancel(); // of one that waits, when its turn comes
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          }
        },
        CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS));
    check(model(5, 7).chat(request(question())).aiMessage().text().equals(text));
  }

  private static AnthropicChatRequestParameters.Builder question() {
    return AnthropicChatRequestParameters.builder().maxOutputTokens(40);
  }

  private static AnthropicChatModel model(int retries, int seed) {
    return AnthropicChatModel.builder()
        .baseUrl(URL)
        .apiKey(KEY)
        .modelName(MODEL)
        .maxTokens(40)
        .maxRetries(retries)
        .customParameters(Map.of("seed", seed))
        .supportedCapabilities(Capability.RESPONSE_FORMAT_JSON_SCHEMA)
        .build();
  }

  private static AnthropicStreamingChatModel stream(Map<String, Object> fields) {
    return AnthropicStreamingChatModel.builder()
        .baseUrl(URL)
        .apiKey(KEY)
        .modelName(MODEL)
        .customParameters(fields)
        .build();
  }

  private static ChatRequest request(AnthropicChatRequestParameters.Builder parameters) {
    return ChatRequest.builder().messages(MESSAGES).parameters(parameters.build()).build();
  }

  private static ChatResponse ask(AnthropicChatRequestParameters.Builder parameters) {
    return CHAT.chat(request(parameters));
  }

  private static CompletableFuture<ChatResponse> stream(
      AnthropicStreamingChatModel model, AnthropicChatRequestParameters.Builder parameters) {
    CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    model.chat(
        request(parameters),
        new StreamingChatResponseHandler() {
          @Override
          public void onCompleteResponse(ChatResponse response) {
            whole.complete(response);
          }

          @Override
          public void onError(Throwable error) {
            whole.completeExceptionally(error);
          }
        });
    return whole;
  }

  /** Begins a stream without an end. */
  private static void begin(BlockingQueue<StreamingHandle> begun) {
    ENDLESS.chat(
        request(question().maxOutputTokens(10_000)),
        new StreamingChatResponseHandler() {
          private boolean told;

          @Override
          public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            if (!told) {
              told = true;
              begun.add(context.streamingHandle());
            }
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {}

          @Override
          public void onError(Throwable error) {}
        });
  }

  private static void check(boolean isSo) {
    if (!isSo) {
      throw new AssertionError("the answer is another one");
    }
  }

  private static void said(String step, String what) {
    System.out.println(step + ": " + what.replace("\n", "\\n"));
  }
}

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
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
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiChatRequestParameters;
import dev.langchain4j.model.openai.OpenAiChatResponseMetadata;
import dev.langchain4j.model.openai.OpenAiModelCatalog;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.model.output.FinishReason;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What a client of a Panamoe server does, by LangChain4j. */
public final class Client {
  private static final Map<String, String> ENVIRONMENT = System.getenv();
  private static final String URL =
      ENVIRONMENT.getOrDefault("BASE_URL", "http://localhost:8080/v1");
  private static final String KEY = ENVIRONMENT.getOrDefault("API_KEY", "none");
  private static final String MODEL =
      OpenAiModelCatalog.builder().baseUrl(URL).apiKey(KEY).build().listModels().get(0).name();
  private static final OpenAiChatModel CHAT = model(2);
  private static final OpenAiStreamingChatModel STREAM =
      OpenAiStreamingChatModel.builder().baseUrl(URL).apiKey(KEY).modelName(MODEL).build();

  private static final List<ChatMessage> MESSAGES =
      List.of(
          SystemMessage.from("Answer like a secretary."),
          UserMessage.from("Whom does the committee thank?"));

  public static void main(String[] arguments) {
    said("models", MODEL);

    ChatResponse answer = ask(question());
    String text = answer.aiMessage().text();
    int tokens = answer.tokenUsage().outputTokenCount();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    ChatResponse streamed = stream(question(), false);
    check(streamed.aiMessage().text().equals(text));
    check(streamed.tokenUsage().outputTokenCount() == tokens);
    said("stream", tokens + " tokens");

    var told =
        ((OpenAiChatResponseMetadata) ask(question().logprobs(true).topLogprobs(2)).metadata())
            .logProbs();
    check(told.size() == tokens);
    check(told.stream().allMatch(one -> one.logprob() <= 0 && one.topLogprobs().size() == 2));
    said("logprobs", told.get(0).token() + " has " + told.get(0).logprob());

    String stop = text.substring(5, 7);
    ChatResponse stopped = ask(question().stopSequences(stop));
    check(stopped.aiMessage().text().equals(text.substring(0, text.indexOf(stop))));
    check(stopped.finishReason() == FinishReason.STOP);
    said("stop", stopped.aiMessage().text() + " before " + stop);

    check(ask(question()).aiMessage().text().equals(text));
    check(!ask(question().seed(8)).aiMessage().text().equals(text));
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
    OpenAiChatRequestParameters.Builder mayCall =
        question().maxOutputTokens(200).toolSpecifications(count).parallelToolCalls(false);
    ChatResponse asked = ask(mayCall.toolChoice(ToolChoice.REQUIRED));
    check(asked.finishReason() == FinishReason.TOOL_EXECUTION);
    ToolExecutionRequest call = asked.aiMessage().toolExecutionRequests().get(0);
    check(call.name().equals("count_votes"));
    check(call.arguments().matches("\\{\"side\": ?\"(ayes|noes)\"}"));
    ChatResponse calledInStream = stream(mayCall.toolChoice(ToolChoice.REQUIRED), false);
    check(
        calledInStream
            .aiMessage()
            .toolExecutionRequests()
            .get(0)
            .arguments()
            .equals(call.arguments()));
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
      check(e.getMessage().contains("\"param\":\"max_tokens\""));
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
      check(e.getMessage().contains("\"code\":\"context_length_exceeded\""));
      said("context", e.getMessage());
    }

    if (ENVIRONMENT.containsKey("PLACES")) {
      retry(Integer.parseInt(ENVIRONMENT.get("PLACES")), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    stream(endless(1), true);
    check(ask(question()).aiMessage().text().equals(text));
    said("disconnect", "the next answer is the same");
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429. The library asks again after a second, a few times.
   */
  private static void retry(int places, String text) {
    CompletableFuture<PartialResponseContext> begun = new CompletableFuture<>();
    STREAM.chat(
        request(endless(places)),
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            begun.complete(context);
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {}

          @Override
          public void onError(Throwable error) {
            begun.completeExceptionally(error);
          }
        });
    PartialResponseContext busy = begun.join();
    try {
      model(0).chat(request(question()));
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.getMessage().contains("queue_full"));
    }
    CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS)
        .execute(() -> busy.streamingHandle().cancel());
    check(model(5).chat(request(question())).aiMessage().text().equals(text));
  }

  /** With a seed, the same request has the same answer. */
  private static OpenAiChatRequestParameters.Builder question() {
    return OpenAiChatRequestParameters.builder().maxOutputTokens(40).seed(7);
  }

  /** The library has no n, and ignore_eos is a field of this server. */
  private static OpenAiChatRequestParameters.Builder endless(int texts) {
    return question()
        .maxOutputTokens(10_000)
        .customParameters(Map.of("n", texts, "ignore_eos", true));
  }

  private static OpenAiChatModel model(int retries) {
    return OpenAiChatModel.builder()
        .baseUrl(URL)
        .apiKey(KEY)
        .modelName(MODEL)
        .strictJsonSchema(true)
        .strictTools(true)
        .maxRetries(retries)
        .build();
  }

  private static ChatRequest request(OpenAiChatRequestParameters.Builder parameters) {
    return ChatRequest.builder().messages(MESSAGES).parameters(parameters.build()).build();
  }

  private static ChatResponse ask(OpenAiChatRequestParameters.Builder parameters) {
    return CHAT.chat(request(parameters));
  }

  /** The whole answer; null if it is left after its first piece. */
  private static ChatResponse stream(
      OpenAiChatRequestParameters.Builder parameters, boolean leave) {
    CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
    STREAM.chat(
        request(parameters),
        new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            if (leave) {
              context.streamingHandle().cancel();
              whole.complete(null);
            }
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

  private static void check(boolean isSo) {
    if (!isSo) {
      throw new AssertionError("the answer is another one");
    }
  }

  private static void said(String step, String what) {
    System.out.println(step + ": " + what.replace("\n", "\\n"));
  }
}

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.RateLimitException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionMessage;
import com.openai.models.chat.completions.ChatCompletionMessageFunctionToolCall;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.embeddings.EmbeddingCreateParams;
import io.swagger.v3.oas.annotations.media.Schema;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What a client of a Panamoe server does, by OpenAI's library for Java. */
public final class Client {
  private static final Map<String, String> ENVIRONMENT = System.getenv();

  private static final OpenAIClient CLIENT =
      OpenAIOkHttpClient.builder()
          .baseUrl(ENVIRONMENT.getOrDefault("BASE_URL", "http://localhost:8080/v1"))
          .apiKey(ENVIRONMENT.getOrDefault("API_KEY", "none")) // a server without keys takes any
          .build();

  private static final String MODEL = CLIENT.models().list().data().get(0).id();

  /** A schema, which the library makes of the class. */
  public static final class Vote {
    @Schema(minimum = "0", maximum = "99")
    public int ayes;

    public Outcome outcome;
  }

  /** In a schema, an enum. */
  public enum Outcome {
    ADOPTED,
    REJECTED
  }

  /** A function with its arguments. */
  @JsonClassDescription("Counts the votes of one side.")
  public static final class CountVotes {
    public Outcome outcome;
  }

  public static void main(String[] arguments) {
    said("models", MODEL);

    ChatCompletion answer = chat(question().build());
    String text = textOf(answer);
    long tokens = answer.usage().get().completionTokens();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    ChatCompletionAccumulator told = ChatCompletionAccumulator.create();
    ChatCompletionStreamOptions withUsage =
        ChatCompletionStreamOptions.builder().includeUsage(true).build();
    try (StreamResponse<ChatCompletionChunk> stream =
        stream(question().streamOptions(withUsage).build())) {
      stream.stream().forEach(told::accumulate);
    }
    check(textOf(told.chatCompletion()).equals(text));
    check(told.chatCompletion().usage().get().completionTokens() == tokens);
    said("stream", tokens + " tokens");

    var logprobs =
        chat(question().logprobs(true).topLogprobs(2).build())
            .choices()
            .get(0)
            .logprobs()
            .get()
            .content()
            .get();
    check(logprobs.size() == tokens);
    check(logprobs.stream().allMatch(one -> one.logprob() <= 0 && one.topLogprobs().size() == 2));
    said("logprobs", logprobs.get(0).token() + " has " + logprobs.get(0).logprob());

    String stop = text.substring(5, 7);
    ChatCompletion stopped = chat(question().stop(stop).build());
    check(textOf(stopped).equals(text.substring(0, text.indexOf(stop))));
    check(stopped.choices().get(0).finishReason().equals(ChatCompletion.Choice.FinishReason.STOP));
    said("stop", textOf(stopped) + " before " + stop);

    check(textOf(chat(question().build())).equals(text));
    check(!textOf(chat(question().seed(8).build())).equals(text));
    said("seed", "twice the same");

    EmbeddingCreateParams texts =
        EmbeddingCreateParams.builder()
            .model(MODEL)
            .inputOfArrayOfStrings(List.of("A vote.", text))
            .build();
    List<Float> vector = CLIENT.embeddings().create(texts).data().get(1).embedding();
    List<Float> start =
        CLIENT.embeddings().create(texts.toBuilder().dimensions(4).build()).data().get(1).embedding();
    check(start.size() == 4 && vector.size() > 4);
    said("embeddings", vector.size() + " numbers");

    Vote vote =
        CLIENT
            .chat()
            .completions()
            .create(question().maxCompletionTokens(200).responseFormat(Vote.class).build())
            .choices()
            .get(0)
            .message()
            .content()
            .get();
    check(vote.ayes >= 0 && vote.ayes <= 99 && vote.outcome != null);
    said("schema", vote.ayes + " ayes, " + vote.outcome);

    ChatCompletion asked =
        chat(mayCall().toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED).build());
    check(
        asked
            .choices()
            .get(0)
            .finishReason()
            .equals(ChatCompletion.Choice.FinishReason.TOOL_CALLS));
    ChatCompletionMessage message = asked.choices().get(0).message();
    ChatCompletionMessageFunctionToolCall call = message.toolCalls().get().get(0).asFunction();
    check(call.function().name().equals("CountVotes"));
    Outcome outcome = call.function().arguments(CountVotes.class).outcome;
    ChatCompletion result =
        chat(
            mayCall()
                .addMessage(message)
                .addMessage(
                    ChatCompletionToolMessageParam.builder()
                        .toolCallId(call.id())
                        .content("17")
                        .build())
                .build());
    said("tools", "it counts " + outcome + " and goes on: " + textOf(result));

    try {
      chat(question().maxCompletionTokens(-1).build());
      throw new AssertionError("a wrong request was answered");
    } catch (BadRequestException e) {
      check(e.param().equals(Optional.of("max_completion_tokens")));
      said("error", e.getMessage());
    }

    try {
      chat(question().addUserMessage("the vote ".repeat(100_000)).build());
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (BadRequestException e) {
      check(e.code().equals(Optional.of("context_length_exceeded")));
      said("context", e.getMessage());
    }

    if (ENVIRONMENT.containsKey("PLACES")) {
      retry(Long.parseLong(ENVIRONMENT.get("PLACES")), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    try (StreamResponse<ChatCompletionChunk> stream = stream(endless(1))) {
      stream.stream()
          .filter(chunk -> !chunk.choices().get(0).delta().content().orElse("").isEmpty())
          .findFirst();
    }
    check(textOf(chat(question().build())).equals(text));
    said("disconnect", "the next answer is the same");
    new Responses(CLIENT, MODEL).run();
    CLIENT.close();
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429 and when to come again. The library does that by itself.
   */
  private static void retry(long places, String text) {
    StreamResponse<ChatCompletionChunk> busy = stream(endless(places));
    try {
      CLIENT
          .withOptions(options -> options.maxRetries(0))
          .chat()
          .completions()
          .create(question().build());
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.code().equals(Optional.of("queue_full")));
    }
    CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS).execute(busy::close);
    ChatCompletion late =
        CLIENT
            .withOptions(options -> options.maxRetries(5))
            .chat()
            .completions()
            .create(question().build());
    check(textOf(late).equals(text));
  }

  /** With a seed, the same request has the same answer. */
  private static ChatCompletionCreateParams.Builder question() {
    return ChatCompletionCreateParams.builder()
        .model(MODEL)
        .addSystemMessage("Answer like a secretary.")
        .addUserMessage("Whom does the committee thank?")
        .maxCompletionTokens(40)
        .seed(7);
  }

  /** The same with a function to call. */
  private static ChatCompletionCreateParams.Builder mayCall() {
    return question().maxCompletionTokens(200).addTool(CountVotes.class).parallelToolCalls(false);
  }

  /** ignore_eos is a field of this server. */
  private static ChatCompletionCreateParams endless(long texts) {
    return question()
        .n(texts)
        .maxCompletionTokens(10_000)
        .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
        .build();
  }

  private static ChatCompletion chat(ChatCompletionCreateParams question) {
    return CLIENT.chat().completions().create(question);
  }

  private static StreamResponse<ChatCompletionChunk> stream(ChatCompletionCreateParams question) {
    return CLIENT.chat().completions().createStreaming(question);
  }

  private static String textOf(ChatCompletion answer) {
    return answer.choices().get(0).message().content().orElse("");
  }

  static void check(boolean isSo) {
    if (!isSo) {
      throw new AssertionError("the answer is another one");
    }
  }

  static void said(String step, String what) {
    System.out.println(step + ": " + what.replace("\n", "\\n"));
  }
}

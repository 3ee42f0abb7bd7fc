import com.anthropic.client.AnthropicClient;
import com.anthropic.client.okhttp.AnthropicOkHttpClient;
import com.anthropic.core.JsonValue;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.errors.BadRequestException;
import com.anthropic.errors.RateLimitException;
import com.anthropic.helpers.MessageAccumulator;
import com.anthropic.models.messages.ContentBlock;
import com.anthropic.models.messages.ContentBlockParam;
import com.anthropic.models.messages.Message;
import com.anthropic.models.messages.MessageCountTokensParams;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import com.anthropic.models.messages.StopReason;
import com.anthropic.models.messages.Tool;
import com.anthropic.models.messages.ToolChoiceAny;
import com.anthropic.models.messages.ToolResultBlockParam;
import com.anthropic.models.messages.ToolUseBlock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** What a client of a Panamoe server does, by Anthropic's library for Java. */
public final class Client {
  private static final Map<String, String> ENVIRONMENT = System.getenv();

  private static final AnthropicClient CLIENT =
      AnthropicOkHttpClient.builder()
          .baseUrl(
              ENVIRONMENT
                  .getOrDefault("BASE_URL", "http://localhost:8080/v1")
                  .replaceFirst("/v1$", "")) // the library adds /v1
          .apiKey(ENVIRONMENT.getOrDefault("API_KEY", "none")) // a server without keys takes any
          .build();

  private static final String MODEL = CLIENT.models().list().data().get(0).id();
  private static final String SYSTEM = "Answer like a secretary.";
  private static final String QUESTION = "Whom does the committee thank?";

  /** A schema, which the library makes of the class. */
  public static final class Vote {
    public long ayes; // of up to 18 digits: the library refuses bounds
    public Outcome outcome;
  }

  /** In a schema, an enum. */
  public enum Outcome {
    ADOPTED,
    REJECTED
  }

  public static void main(String[] arguments) {
    said("models", MODEL);

    Message answer = ask(question().build());
    String text = textOf(answer);
    long tokens = answer.usage().outputTokens();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    long counted =
        CLIENT
            .messages()
            .countTokens(
                MessageCountTokensParams.builder()
                    .model(MODEL)
                    .system(SYSTEM)
                    .addUserMessage(QUESTION)
                    .build())
            .inputTokens();
    check(counted == answer.usage().inputTokens() + answer.usage().cacheReadInputTokens().get());
    said("count", counted + " tokens");

    Message streamed = streamed(question().build());
    check(textOf(streamed).equals(text));
    check(streamed.usage().outputTokens() == tokens);
    said("stream", tokens + " tokens");

    String stop = text.substring(5, 7);
    Message stopped = ask(question().addStopSequence(stop).build());
    check(textOf(stopped).equals(text.substring(0, text.indexOf(stop))));
    check(stopped.stopReason().get().equals(StopReason.STOP_SEQUENCE));
    check(stopped.stopSequence().get().equals(stop));
    said("stop", textOf(stopped) + " before " + stop);

    check(textOf(ask(question().build())).equals(text));
    check(!textOf(ask(question(8).build())).equals(text));
    said("seed", "twice the same");

    Vote vote =
        CLIENT
            .messages()
            .create(question().maxTokens(200).outputConfig(Vote.class).build())
            .content()
            .get(0)
            .asText()
            .text();
    check(vote.outcome != null);
    said("schema", vote.ayes + " ayes, " + vote.outcome);

    ToolChoiceAny any = ToolChoiceAny.builder().disableParallelToolUse(true).build();
    Message asked = ask(mayCall().toolChoice(any).build());
    check(asked.stopReason().get().equals(StopReason.TOOL_USE));
    ToolUseBlock call = asked.content().get(0).asToolUse();
    check(call.name().equals("count_votes"));
    Message calledInStream = streamed(mayCall().toolChoice(any).build());
    check(calledInStream.content().get(0).asToolUse()._input().equals(call._input()));
    ToolResultBlockParam result =
        ToolResultBlockParam.builder().toolUseId(call.id()).content("17").build();
    Message then =
        ask(
            mayCall()
                .addMessage(asked)
                .addUserMessageOfContentBlockParams(
                    List.of(ContentBlockParam.ofToolResult(result)))
                .build());
    said("tools", call._input() + " and goes on: " + textOf(then));

    try {
      ask(question().maxTokens(-1).build());
      throw new AssertionError("a wrong request was answered");
    } catch (BadRequestException e) {
      check(e.getMessage().contains("max_tokens is -1"));
      said("error", e.getMessage());
    }

    try {
      ask(question().addUserMessage("the vote ".repeat(100_000)).build());
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (BadRequestException e) {
      check(e.errorCode().equals(Optional.of("context_length_exceeded")));
      said("context", e.getMessage());
    }

    if (ENVIRONMENT.containsKey("PLACES")) {
      retry(Integer.parseInt(ENVIRONMENT.get("PLACES")), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    try (StreamResponse<RawMessageStreamEvent> stream = stream(endless())) {
      stream.stream().filter(RawMessageStreamEvent::isContentBlockDelta).findFirst();
    }
    check(textOf(ask(question().build())).equals(text));
    said("disconnect", "the next answer is the same");
    CLIENT.close();
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429 and when to come again. The library does that by itself.
   */
  private static void retry(int places, String text) {
    List<StreamResponse<RawMessageStreamEvent>> busy =
        IntStream.range(0, places).mapToObj(i -> stream(endless())).collect(Collectors.toList());
    try {
      CLIENT.withOptions(options -> options.maxRetries(0)).messages().create(question().build());
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.errorCode().equals(Optional.of("queue_full")));
    }
    CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS)
        .execute(() -> busy.forEach(StreamResponse::close));
    AnthropicClient patient = CLIENT.withOptions(options -> options.maxRetries(5));
    check(textOf(patient.messages().create(question().build())).equals(text));
  }

  private static MessageCreateParams.Builder question() {
    return question(7);
  }

  /** With a seed, which is a field of this server, the same request has the same answer. */
  private static MessageCreateParams.Builder question(int seed) {
    return MessageCreateParams.builder()
        .model(MODEL)
        .system(SYSTEM)
        .addUserMessage(QUESTION)
        .maxTokens(40)
        .putAdditionalBodyProperty("seed", JsonValue.from(seed));
  }

  /** The same with a function to call. */
  private static MessageCreateParams.Builder mayCall() {
    Tool.InputSchema schema =
        Tool.InputSchema.builder()
            .properties(JsonValue.from(Map.of("side", Map.of("enum", List.of("ayes", "noes")))))
            .required(List.of("side"))
            .putAdditionalProperty("additionalProperties", JsonValue.from(false))
            .build();
    Tool tool =
        Tool.builder()
            .name("count_votes")
            .description("Counts the votes of one side.")
            .inputSchema(schema)
            .build();
    return question().maxTokens(200).addTool(tool);
  }

  /** ignore_eos is a field of this server. */
  private static MessageCreateParams endless() {
    return question()
        .maxTokens(10_000)
        .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
        .build();
  }

  private static Message ask(MessageCreateParams question) {
    return CLIENT.messages().create(question);
  }

  private static StreamResponse<RawMessageStreamEvent> stream(MessageCreateParams question) {
    return CLIENT.messages().createStreaming(question);
  }

  private static Message streamed(MessageCreateParams question) {
    MessageAccumulator told = MessageAccumulator.create();
    try (StreamResponse<RawMessageStreamEvent> stream = stream(question)) {
      stream.stream().forEach(told::accumulate);
    }
    return told.message();
  }

  private static String textOf(Message answer) {
    return answer.content().stream()
        .filter(ContentBlock::isText)
        .map(block -> block.asText().text())
        .collect(Collectors.joining());
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

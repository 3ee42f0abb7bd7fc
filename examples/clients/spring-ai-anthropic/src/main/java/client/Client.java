package client;

import com.anthropic.core.JsonValue;
import com.anthropic.core.http.StreamResponse;
import com.anthropic.errors.BadRequestException;
import com.anthropic.errors.RateLimitException;
import com.anthropic.models.messages.MessageCreateParams;
import com.anthropic.models.messages.RawMessageStreamEvent;
import com.anthropic.models.messages.ToolChoice;
import com.anthropic.models.messages.ToolChoiceAny;
import com.anthropic.models.messages.ToolChoiceAuto;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.springframework.ai.anthropic.AnthropicChatModel;
import org.springframework.ai.anthropic.AnthropicChatOptions;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.converter.BeanOutputConverter;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** What a client of a Panamoe server does, by Spring AI's model for Anthropic's API. */
@SpringBootApplication
public class Client implements CommandLineRunner {
  private static final List<Message> MESSAGES =
      List.of(
          new SystemMessage("Answer like a secretary."),
          new UserMessage("Whom does the committee thank?"));

  /** A schema, which the library makes of the record. */
  record Vote(long ayes, Outcome outcome) {}

  /** In a schema, an enum. */
  enum Outcome {
    ADOPTED,
    REJECTED
  }

  /** A function's arguments. */
  record CountVotes(Outcome outcome) {}

  private static final ToolCallback COUNT =
      FunctionToolCallback.builder("count_votes", (CountVotes votes) -> 17)
          .description("Counts the votes for an outcome.")
          .inputType(CountVotes.class)
          .build();

  private static final ToolChoice MUST =
      ToolChoice.ofAny(ToolChoiceAny.builder().disableParallelToolUse(true).build());
  private static final ToolChoice MAY =
      ToolChoice.ofAuto(ToolChoiceAuto.builder().disableParallelToolUse(true).build());

  private final String url;
  private final String key;
  private final String model;
  private final AnthropicChatModel chat;

  /** The library adds /v1 to the URL. */
  Client(
      @Value("${BASE_URL:http://localhost:8080/v1}") String url,
      @Value("${spring.ai.anthropic.api-key}") String key) {
    this.url = url.replaceFirst("/v1$", "");
    this.key = key;
    this.model = model("any", 0).getAnthropicClient().models().list().data().get(0).id();
    this.chat = model(model, 2);
  }

  public static void main(String[] arguments) {
    System.exit(SpringApplication.exit(SpringApplication.run(Client.class, arguments)));
  }

  @Override
  public void run(String... arguments) {
    said("models", model);

    ChatResponse answer = ask(question());
    String text = textOf(answer);
    int tokens = answer.getMetadata().getUsage().getCompletionTokens();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    List<ChatResponse> pieces = chat.stream(prompt(question())).collectList().block();
    check(pieces.stream().map(Client::textOf).collect(Collectors.joining()).equals(text));
    check(last(pieces).getMetadata().getUsage().getCompletionTokens() == tokens);
    said("stream", tokens + " tokens");

    String stop = text.substring(5, 7);
    ChatResponse stopped = ask(question().stopSequences(List.of(stop)));
    check(textOf(stopped).equals(text.substring(0, text.indexOf(stop))));
    check(stopped.getResult().getMetadata().getFinishReason().equals("stop_sequence"));
    said("stop", textOf(stopped) + " before " + stop);

    check(textOf(ask(question())).equals(text));
    said("seed", "twice the same"); // at temperature 0: the library passes on no seed

    BeanOutputConverter<Vote> votes = new BeanOutputConverter<>(Vote.class);
    Vote vote =
        votes.convert(
            textOf(ask(question().maxTokens(200).outputSchema(votes.getJsonSchema()))));
    check(vote.outcome() != null);
    said("schema", vote.ayes() + " ayes, " + vote.outcome());

    AssistantMessage calling = ask(mayCall().toolChoice(MUST)).getResult().getOutput();
    AssistantMessage.ToolCall call = calling.getToolCalls().get(0);
    check(call.name().equals("count_votes"));
    List<ChatResponse> streamed =
        chat.stream(prompt(mayCall().toolChoice(MUST))).collectList().block();
    check(streamed.stream().anyMatch(ChatResponse::hasToolCalls));
    ToolResponseMessage counted =
        ToolResponseMessage.builder()
            .responses(
                List.of(
                    new ToolResponseMessage.ToolResponse(
                        call.id(), call.name(), COUNT.call(call.arguments()))))
            .build();
    ChatResponse result =
        chat.call(
            new Prompt(
                List.of(MESSAGES.get(0), MESSAGES.get(1), calling, counted),
                mayCall().toolChoice(MAY).build()));
    said("tools", call.arguments() + " and goes on: " + textOf(result));

    try {
      ask(question().maxTokens(-1));
      throw new AssertionError("a wrong request was answered");
    } catch (BadRequestException e) {
      check(e.getMessage().contains("max_tokens is -1"));
      said("error", e.getMessage());
    }

    try {
      Message tooLong = new UserMessage("the vote ".repeat(100_000));
      chat.call(new Prompt(List.of(tooLong), question().build()));
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (BadRequestException e) {
      check(e.getMessage().contains("context"));
      said("context", e.getMessage());
    }

    String places = System.getenv("PLACES");
    if (places != null) {
      retry(Integer.parseInt(places), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    chat.stream(prompt(question().maxTokens(10_000))).blockFirst();
    check(textOf(ask(question())).equals(text));
    said("disconnect", "the next answer is the same");
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429 and when to come again. The library does that by itself.
   */
  private void retry(int places, String text) {
    // By the library of Spring AI's model, because ignore_eos is a field of this server.
    MessageCreateParams endless =
        MessageCreateParams.builder()
            .model(model)
            .addUserMessage("Whom does the committee thank?")
            .maxTokens(10_000)
            .putAdditionalBodyProperty("ignore_eos", JsonValue.from(true))
            .build();
    List<StreamResponse<RawMessageStreamEvent>> busy =
        IntStream.range(0, places)
            .mapToObj(i -> chat.getAnthropicClient().messages().createStreaming(endless))
            .toList();
    try {
      model(model, 0).call(prompt(question()));
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.statusCode() == 429);
    }
    CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS)
        .execute(() -> busy.forEach(StreamResponse::close));
    check(textOf(model(model, 5).call(prompt(question()))).equals(text));
  }

  private AnthropicChatModel model(String name, int retries) {
    return AnthropicChatModel.builder()
        .options(
            AnthropicChatOptions.builder()
                .model(name)
                .baseUrl(url)
                .apiKey(key)
                .maxRetries(retries)
                .build())
        .build();
  }

  /** At temperature 0 the same request has the same answer. */
  private AnthropicChatOptions.Builder question() {
    return AnthropicChatOptions.builder().model(model).maxTokens(40).temperature(0.0);
  }

  private AnthropicChatOptions.Builder mayCall() {
    return question().maxTokens(200).toolCallbacks(COUNT);
  }

  private static Prompt prompt(AnthropicChatOptions.Builder options) {
    return new Prompt(MESSAGES, options.build());
  }

  private ChatResponse ask(AnthropicChatOptions.Builder options) {
    return chat.call(prompt(options));
  }

  private static String textOf(ChatResponse answer) {
    String text = answer.getResult() == null ? null : answer.getResult().getOutput().getText();
    return text == null ? "" : text;
  }

  private static ChatResponse last(List<ChatResponse> pieces) {
    return pieces.get(pieces.size() - 1);
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

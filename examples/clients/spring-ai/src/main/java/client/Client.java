package client;

import com.openai.errors.BadRequestException;
import com.openai.errors.RateLimitException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.converter.BeanOutputConverter;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.client.RestClient;
import reactor.core.Disposable;

/** What a client of a Panamoe server does, by Spring AI. */
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

  private final OpenAiChatModel chat;
  private final String url;
  private final String key;
  private final String model;

  /** The chat model is made of application.properties. */
  Client(
      OpenAiChatModel chat,
      @Value("${spring.ai.openai.base-url}") String url,
      @Value("${spring.ai.openai.api-key}") String key) {
    this.chat = chat;
    this.url = url;
    this.key = key;
    this.model = firstModel();
  }

  public static void main(String[] arguments) {
    System.exit(SpringApplication.exit(SpringApplication.run(Client.class, arguments)));
  }

  /** Spring AI has no list of models. */
  private String firstModel() {
    record Model(String id) {}
    record Models(List<Model> data) {}
    return RestClient.create(url)
        .get()
        .uri("/models")
        .header("Authorization", "Bearer " + key)
        .retrieve()
        .body(Models.class)
        .data()
        .get(0)
        .id();
  }

  @Override
  public void run(String... arguments) throws InterruptedException {
    said("models", model);

    ChatResponse answer = ask(question());
    String text = textOf(answer);
    int tokens = answer.getMetadata().getUsage().getCompletionTokens();
    check(tokens > 0 && tokens <= 40);
    said("chat", text);

    List<ChatResponse> pieces =
        chat.stream(prompt(question().streamUsage(true))).collectList().block();
    check(pieces.stream().map(Client::textOf).collect(Collectors.joining()).equals(text));
    check(last(pieces).getMetadata().getUsage().getCompletionTokens() == tokens);
    said("stream", tokens + " tokens");

    // Spring AI asks for logprobs, but does not hand them on.
    check(textOf(ask(question().logprobs(true).topLogprobs(2))).equals(text));
    said("logprobs", "asked for");

    String stop = text.substring(5, 7);
    ChatResponse stopped = ask(question().stop(List.of(stop)));
    check(textOf(stopped).equals(text.substring(0, text.indexOf(stop))));
    check(stopped.getResult().getMetadata().getFinishReason().equalsIgnoreCase("stop"));
    said("stop", textOf(stopped) + " before " + stop);

    check(textOf(ask(question())).equals(text));
    check(!textOf(ask(question().seed(8))).equals(text));
    said("seed", "twice the same");

    BeanOutputConverter<Vote> votes = new BeanOutputConverter<>(Vote.class);
    Vote vote =
        votes.convert(textOf(ask(question().maxTokens(200).outputSchema(votes.getJsonSchema()))));
    check(vote.outcome() != null);
    said("schema", vote.ayes() + " ayes, " + vote.outcome());

    AssistantMessage calling = ask(mayCall().toolChoice("required")).getResult().getOutput();
    AssistantMessage.ToolCall call = calling.getToolCalls().get(0);
    check(call.name().equals("count_votes"));
    List<ChatResponse> streamed =
        chat.stream(prompt(mayCall().toolChoice("required"))).collectList().block();
    check(
        streamed.stream()
            .filter(ChatResponse::hasToolCalls)
            .anyMatch(
                one ->
                    one.getResult()
                        .getOutput()
                        .getToolCalls()
                        .get(0)
                        .arguments()
                        .equals(call.arguments())));
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
                List.of(MESSAGES.get(0), MESSAGES.get(1), calling, counted), mayCall().build()));
    said("tools", call.arguments() + " and goes on: " + textOf(result));

    try {
      ask(question().maxTokens(-1));
      throw new AssertionError("a wrong request was answered");
    } catch (BadRequestException e) {
      check(e.param().equals(Optional.of("max_tokens")));
      said("error", e.getMessage());
    }

    try {
      Message tooLong = new UserMessage("the vote ".repeat(100_000));
      chat.call(new Prompt(List.of(tooLong), question().build()));
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (BadRequestException e) {
      check(e.code().equals(Optional.of("context_length_exceeded")));
      said("context", e.getMessage());
    }

    String places = System.getenv("PLACES");
    if (places != null) {
      retry(Integer.parseInt(places), text);
      said("retry", "answered when there was room");
    }

    // Whoever leaves a stream ends its text; the server goes on as before.
    chat.stream(prompt(endless(1))).blockFirst();
    check(textOf(ask(question())).equals(text));
    said("disconnect", "the next answer is the same");
  }

  /**
   * A server has places for a number of texts (--sequences and --max-queued-requests); when they
   * are taken, it says 429 and when to come again. The library does that by itself.
   */
  private void retry(int places, String text) throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    Disposable busy = chat.stream(prompt(endless(places))).subscribe(piece -> begun.countDown());
    begun.await();
    try {
      model(0).call(prompt(question()));
      throw new AssertionError("there was room");
    } catch (RateLimitException e) {
      check(e.code().equals(Optional.of("queue_full")));
    }
    CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS).execute(busy::dispose);
    check(textOf(model(5).call(prompt(question()))).equals(text));
  }

  private OpenAiChatModel model(int retries) {
    return OpenAiChatModel.builder()
        .options(question().baseUrl(url).apiKey(key).maxRetries(retries).build())
        .build();
  }

  /** With a seed, the same request has the same answer. */
  private OpenAiChatOptions.Builder question() {
    return OpenAiChatOptions.builder().model(model).maxTokens(40).seed(7);
  }

  /** ignore_eos is a field of this server. */
  private OpenAiChatOptions.Builder endless(int texts) {
    return question().maxTokens(10_000).n(texts).extraBody(Map.of("ignore_eos", true));
  }

  private OpenAiChatOptions.Builder mayCall() {
    return question().maxTokens(200).toolCallbacks(COUNT).parallelToolCalls(false);
  }

  private static Prompt prompt(OpenAiChatOptions.Builder options) {
    return new Prompt(MESSAGES, options.build());
  }

  private ChatResponse ask(OpenAiChatOptions.Builder options) {
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

package panamoe.spring.ai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.function.FunctionToolCallback;
import org.springframework.ai.tool.metadata.ToolMetadata;
import org.springframework.util.MimeTypeUtils;
import panamoe.api.PanamoeException;
import panamoe.text.ModelOptions;
import panamoe.text.ServiceOptions;
import panamoe.text.TextService;
import panamoe.text.ToolChoice;

/** Prompts of Spring AI, answered by a tiny model. */
@Timeout(120)
class PanamoeChatModelTest {
  /** What a tool reads. */
  record Vote(Side side) {}

  /** Of a vote. */
  enum Side {
    AYES,
    NOES
  }

  @TempDir private static Path folder;
  private static TextService service;
  private static PanamoeChatModel model;

  @BeforeAll
  static void open() throws IOException {
    TinyModel.write(folder);
    service =
        TextService.open(
            folder,
            ModelOptions.USUAL.withSequences(4).withChatTemplate(TinyModel.TEMPLATE),
            ServiceOptions.USUAL);
    model = PanamoeChatModel.of(service);
  }

  @AfterAll
  static void close() {
    service.close();
  }

  private static PanamoeChatOptions.Builder tokens(int most) {
    return PanamoeChatOptions.builder().maxTokens(most).temperature(1.0).seed(7L);
  }

  private static Prompt asking(ChatOptions.Builder<?> options) {
    return new Prompt("the cat", options.build());
  }

  private static String text(ChatResponse response) {
    return response.getResult().getOutput().getText();
  }

  private static String finish(ChatResponse response) {
    return response.getResult().getMetadata().getFinishReason();
  }

  private static ToolCallback vote(List<Side> votes, boolean direct) {
    return FunctionToolCallback.builder(
            "vote",
            (Vote vote) -> {
              votes.add(vote.side());
              return "counted";
            })
        .description("Counts.")
        .inputType(Vote.class)
        .toolMetadata(ToolMetadata.builder().returnDirect(direct).build())
        .build();
  }

  @Test
  void aReplyHasItsTextItsUsageAndItsEnd() {
    ChatResponse reply = model.call(asking(tokens(12)));
    assertEquals(12, reply.getMetadata().getUsage().getCompletionTokens());
    assertTrue(reply.getMetadata().getUsage().getPromptTokens() > 5);
    assertEquals("LENGTH", finish(reply));
    assertEquals("panamoe", reply.getMetadata().getModel());
    assertFalse(text(reply).isEmpty());
    assertEquals(text(reply), text(model.call(asking(tokens(12)))));
    assertNotEquals(text(reply), text(model.call(asking(tokens(12).seed(8L)))));
  }

  @Test
  void defaultsGiveWayToTheRequest() {
    PanamoeChatModel short3 =
        PanamoeChatModel.builder()
            .service(service)
            .options(tokens(3).model("tiny").build())
            .build();
    ChatResponse reply = short3.call(new Prompt("the cat"));
    assertEquals(3, reply.getMetadata().getUsage().getCompletionTokens());
    assertEquals("tiny", reply.getMetadata().getModel());
    ChatResponse longer = short3.call(asking(ChatOptions.builder().maxTokens(5)));
    assertEquals(text(model.call(asking(tokens(5)))), text(longer)); // the seed is the default's
    String client = ChatClient.create(short3).prompt("the cat").options(tokens(5)).call().content();
    assertEquals(text(longer), client);
    Prompt other = asking(ChatOptions.builder().model("other"));
    assertThrows(IllegalArgumentException.class, () -> short3.call(other));
  }

  @Test
  void optionsAreCopiedCombinedAndCompared() {
    PanamoeChatOptions options =
        tokens(3)
            .outputSchema("{}")
            .minP(0.1)
            .repetitionPenalty(1.1)
            .variables("{\"a\": 1}")
            .timeout(Duration.ofDays(1))
            .toolChoice(ToolChoice.AUTO)
            .parallelToolCalls(true)
            .build();
    assertEquals(options, options.mutate().build());
    assertEquals(options.hashCode(), options.mutate().build().hashCode());
    assertEquals(options, PanamoeChatOptions.builder().combineWith(options.mutate()).build());
    PanamoeChatOptions other = options.mutate().combineWith(tokens(3).seed(9L)).build();
    assertEquals(9L, other.getSeed());
    assertEquals("{}", other.getOutputSchema());
    assertNotEquals(options, other);
    options.mutate().minP(0.5); // does not reach the options
    assertEquals(0.1, options.getMinP());
  }

  /** Each kind of message reaches the template. */
  @Test
  void messagesAreRead() {
    AssistantMessage.ToolCall call = new AssistantMessage.ToolCall("1", "function", "vote", "{}");
    List<Message> conversation =
        List.of(
            new SystemMessage("Speak of hats."),
            new UserMessage("the cat"),
            AssistantMessage.builder().content("").toolCalls(List.of(call)).build(),
            ToolResponseMessage.builder()
                .responses(List.of(new ToolResponseMessage.ToolResponse("1", "vote", "ayes")))
                .build());
    int before = 0;
    for (int i = 1; i <= conversation.size(); i++) {
      Prompt prompt = new Prompt(conversation.subList(0, i), tokens(1).build());
      int now = model.call(prompt).getMetadata().getUsage().getPromptTokens();
      assertTrue(now > before, "message " + i);
      before = now;
    }
  }

  @Test
  void aSchemaIsKeptWhileTokensAreSampled() {
    ChatClient client = ChatClient.create(model);
    Vote vote =
        client
            .prompt("the cat")
            .options(tokens(200))
            .call()
            .entity(Vote.class, spec -> spec.useProviderStructuredOutput());
    assertTrue(List.of(Side.values()).contains(vote.side()));
  }

  /** The client executes the tool; a result that goes to the caller ends the conversation. */
  @Test
  void toolsAreCalledAndStreamed() {
    List<Side> votes = Collections.synchronizedList(new ArrayList<>());
    PanamoeChatOptions.Builder calling =
        tokens(200)
            .parallelToolCalls(false)
            .toolChoice(ToolChoice.REQUIRED)
            .toolCallbacks(vote(votes, true));
    ChatResponse reply = model.call(asking(calling));
    AssistantMessage.ToolCall call = reply.getResult().getOutput().getToolCalls().getFirst();
    assertEquals("vote", call.name());
    assertTrue(call.arguments().matches("\\s*\\{\\s*\"side\"\\s*:\\s*\"(AYES|NOES)\"\\s*}\\s*"));
    assertEquals("TOOL_CALLS", finish(reply));
    assertTrue(votes.isEmpty());

    ChatResponse last = model.stream(asking(calling)).blockLast();
    assertEquals(call.arguments(), last.getResult().getOutput().getToolCalls().get(0).arguments());

    ChatClient client = ChatClient.create(model);
    assertEquals("\"counted\"", client.prompt("the cat").options(calling).call().content());
    List<String> streamed =
        client.prompt("the cat").options(calling).stream().content().collectList().block();
    assertEquals("\"counted\"", String.join("", streamed));
    assertEquals(2, votes.size());
    assertEquals(votes.get(0), votes.get(1));
  }

  /** A tool's result goes back to the model, which writes the reply. */
  @Test
  void aToolsResultIsRead() {
    List<Side> votes = new ArrayList<>();
    ToolCallback vote = vote(votes, false);
    ChatResponse first =
        model.call(asking(tokens(200).toolChoice(ToolChoice.REQUIRED).toolCallbacks(vote)));
    Prompt asked = asking(tokens(20).toolCallbacks(vote));
    var executed =
        org.springframework.ai.model.tool.ToolCallingManager.builder()
            .build()
            .executeToolCalls(asked, first);
    assertEquals(first.getResult().getOutput().getToolCalls().size(), votes.size());
    ChatResponse second =
        model.call(new Prompt(executed.conversationHistory(), asked.getOptions()));
    assertTrue(
        second.getMetadata().getUsage().getPromptTokens()
            > first.getMetadata().getUsage().getPromptTokens());
  }

  @Test
  void streamsGiveTheSameReply() {
    Prompt prompt = asking(tokens(30));
    List<ChatResponse> pieces = model.stream(prompt).collectList().block();
    String whole = pieces.stream().map(PanamoeChatModelTest::text).collect(Collectors.joining());
    assertEquals(text(model.call(prompt)), whole);
    assertTrue(pieces.size() > 2);
    assertEquals(30, pieces.getLast().getMetadata().getUsage().getCompletionTokens());
    assertEquals("LENGTH", finish(pieces.getLast()));
    assertNull(finish(pieces.getFirst()));
  }

  @Test
  void aCancelledStreamEndsItsReply() {
    assertEquals(3, model.stream(asking(tokens(4000))).take(3).collectList().block().size());
    while (service.unfinished() > 0) {
      Thread.onSpinWait();
    }
  }

  @Test
  void refusalsSayWhy() {
    Media image = new Media(MimeTypeUtils.IMAGE_PNG, URI.create("https://example.org/cat.png"));
    Prompt picture = new Prompt(UserMessage.builder().text("what?").media(image).build());
    assertThrows(IllegalArgumentException.class, () -> model.call(picture));
    Prompt wrong = asking(tokens(5).topP(7.0));
    assertThrows(PanamoeException.BadArgument.class, () -> model.call(wrong));
    assertThrows(PanamoeException.BadArgument.class, () -> model.stream(wrong).blockLast());
    assertThrows(NullPointerException.class, () -> PanamoeChatModel.builder().build());
    PanamoeChatModel.Builder builder =
        PanamoeChatModel.builder().service(service).options(tokens(5).topP(7.0).build());
    assertThrows(PanamoeException.BadArgument.class, builder::build);
    assertEquals(
        "DEADLINE", finish(model.call(asking(tokens(4000).timeout(Duration.ofMillis(1))))));
    TextService closed = TextService.of(service.model(), ServiceOptions.USUAL);
    closed.close();
    PanamoeChatModel late = PanamoeChatModel.of(closed);
    assertThrows(IllegalStateException.class, () -> late.call("the cat"));
    assertThrows(IllegalStateException.class, () -> late.stream("the cat").blockLast());
  }

  @Test
  void requestsAreObserved() throws InterruptedException {
    BlockingQueue<ChatModelObservationContext> stopped = new LinkedBlockingQueue<>();
    ObservationRegistry registry = ObservationRegistry.create();
    registry
        .observationConfig()
        .observationHandler(
            new ObservationHandler<ChatModelObservationContext>() {
              @Override
              public void onStop(ChatModelObservationContext context) {
                stopped.add(context);
              }

              @Override
              public boolean supportsContext(Observation.Context context) {
                return context instanceof ChatModelObservationContext;
              }
            });
    PanamoeChatModel observed =
        PanamoeChatModel.builder().service(service).observations(registry, null).build();
    String reply = text(observed.call(asking(tokens(4))));
    ChatModelObservationContext called = stopped.take();
    assertEquals("chat panamoe", called.getContextualName());
    assertEquals(reply, text(called.getResponse()));
    assertEquals("4", called.getHighCardinalityKeyValue("gen_ai.usage.output_tokens").getValue());

    observed.stream(asking(tokens(4))).blockLast();
    ChatModelObservationContext streamed = stopped.take();
    assertTrue(streamed.isStreaming());
    assertEquals(reply, text(streamed.getResponse()));

    Prompt wrong = asking(tokens(4).topP(7.0));
    assertThrows(PanamoeException.class, () -> observed.stream(wrong).blockLast());
    assertTrue(stopped.take().getError() instanceof PanamoeException);
    assertTrue(stopped.isEmpty());
  }

  @Test
  void theExamplesRun() {
    assertFalse(SpringExample.ask(folder).isEmpty());
    assertFalse(SpringExample.city(ChatClient.create(model)).continent() == null);
  }
}

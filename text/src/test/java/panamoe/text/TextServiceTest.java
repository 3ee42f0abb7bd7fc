package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.internal.Access;
import panamoe.testkit.SmallRun;

/** One model, asked by many threads. */
@Timeout(120)
class TextServiceTest {
  private static final String PROMPT = "Die Würde des ";
  private static final GenerationOptions OPTIONS = GenerationOptions.of(30);

  /** Ends only when it is made to. */
  private static final GenerationOptions ENDLESS_OPTIONS =
      GenerationOptions.of(1_000_000_000).withSlide(true);

  private static final TextRequest ENDLESS = TextRequest.of(PROMPT, ENDLESS_OPTIONS);

  private static final long STORM = Long.getLong("panamoe.storm.seconds", 0);

  @TempDir private static Path folder;
  private static Device device;
  private static MoeModel model;
  private TextService service = TextService.of(model, ServiceOptions.USUAL);

  @BeforeAll
  static void open() {
    SmallRun.train(folder, 250);
    device = Device.open("cpu", 1);
    model = MoeModel.open(device, folder, ModelOptions.USUAL.withSequences(2));
  }

  @AfterAll
  static void close() {
    device.close();
  }

  private static TextRequest request(int number) {
    String prompt = "Die Würde ".substring(number % 5);
    Sampling sampling = number % 3 == 0 ? Sampling.GREEDY : Sampling.of(1, number);
    return TextRequest.of(prompt, GenerationOptions.of(5 + number % 20).withSampling(sampling))
        .withLogprobs(2);
  }

  /**
   * Each text of 64 threads is that of its request alone, whoever else asks: once, or for the
   * seconds of {@code -Dpanamoe.storm.seconds=60}.
   */
  @Test
  @Timeout(600)
  void textsOfManyThreadsAreTheirTextsAlone() throws Exception {
    ModelOptions many = ModelOptions.USUAL.withSequences(7);
    long end = System.nanoTime() + Duration.ofSeconds(STORM).toNanos();
    ServiceOptions twoThreads = ServiceOptions.USUAL.withDevice(Device.Type.CPU, 2);
    try (TextService crowded = TextService.open(folder, many, twoThreads);
        var threads = Executors.newFixedThreadPool(64)) {
      int from = 0;
      do {
        List<Callable<GenerationResult>> calls =
            IntStream.range(from, from + 64)
                .<Callable<GenerationResult>>mapToObj(i -> () -> crowded.submit(request(i)).join())
                .toList();
        List<Future<GenerationResult>> texts = threads.invokeAll(calls);
        for (int i = 0; i < texts.size(); i++) {
          GenerationResult alone = service.submit(request(from + i)).join();
          assertEquals(alone.tokens(), texts.get(i).get().tokens());
          assertEquals(alone.text(), texts.get(i).get().text());
          assertEquals(alone.logprobs(), texts.get(i).get().logprobs()); // to the last bit
        }
        from += 64;
      } while (System.nanoTime() < end);
    }
  }

  @Test
  void theResultSaysWhatItCost() {
    GenerationResult first = service.submit(TextRequest.of(PROMPT, OPTIONS).withUser("a")).join();
    assertEquals(model.encode(PROMPT).length, first.usage().prompt());
    assertEquals(30, first.usage().completion());
    assertEquals(List.of(), first.logprobs());
    String longer = PROMPT + first.text();
    GenerationResult next = service.submit(TextRequest.of(longer, OPTIONS).withUser("a")).join();
    assertTrue(next.usage().cached() >= 32, next::toString); // two blocks of 16
    GenerationResult other = service.submit(TextRequest.of(longer, OPTIONS).withUser("b")).join();
    assertEquals(0, other.usage().cached());
    assertEquals(next.text(), other.text());

    GenerationResult asked = service.submit(TextRequest.of(PROMPT, OPTIONS).withLogprobs(3)).join();
    assertEquals(30, asked.logprobs().size());
    for (int i = 0; i < 30; i++) {
      Logprob greedy = asked.logprobs().get(i);
      assertEquals(asked.tokens().get(i), greedy.token());
      assertEquals(3, greedy.best().size());
      assertEquals(greedy.value(), greedy.best().getFirst().value());
    }
  }

  /** Collects pieces, one on request. */
  private static class Reader implements Flow.Subscriber<TextPiece> {
    final List<TextPiece> pieces = new ArrayList<>();
    final CompletableFuture<Throwable> over = new CompletableFuture<>();
    Flow.Subscription subscription;

    @Override
    public void onSubscribe(Flow.Subscription given) {
      subscription = given;
    }

    @Override
    public void onNext(TextPiece piece) {
      pieces.add(piece);
      subscription.request(1);
    }

    @Override
    public void onError(Throwable failure) {
      over.complete(failure);
    }

    @Override
    public void onComplete() {
      over.complete(null);
    }

    String text() {
      return String.join("", pieces.stream().map(TextPiece::content).toList());
    }
  }

  @Test
  void aSlowSubscriberLosesNothing() {
    TextCompletion completion = service.submit(TextRequest.of(PROMPT, OPTIONS).withLogprobs(0));
    GenerationResult whole = completion.join(); // all of it waits
    Reader reader = new Reader();
    completion.pieces().subscribe(reader);
    assertTrue(reader.pieces.isEmpty());
    reader.subscription.request(1);
    assertSame(null, reader.over.join());
    assertEquals(whole.text(), reader.text());
    assertEquals(
        whole.tokens(), reader.pieces.stream().flatMap(piece -> piece.tokens().stream()).toList());
    assertEquals(
        whole.logprobs(),
        reader.pieces.stream().flatMap(piece -> piece.logprobs().stream()).toList());
    reader.subscription.request(1); // after the end it does nothing
  }

  @Test
  void aSubscriberThatNeverRequestsHoldsNobodyUp() {
    TextCompletion unread = service.submit(TextRequest.of(PROMPT, OPTIONS));
    Reader reader = new Reader();
    unread.pieces().subscribe(reader);
    String text = service.submit(TextRequest.of(PROMPT, OPTIONS)).join().text();
    assertEquals(text, unread.join().text());
    assertTrue(reader.pieces.isEmpty());
    assertFalse(reader.over.isDone());
  }

  @Test
  void aSubscriberThatThrowsEndsItsRequestAlone() {
    TextCompletion other = service.submit(TextRequest.of(PROMPT, OPTIONS));
    TextCompletion completion = service.submit(ENDLESS);
    completion
        .pieces()
        .subscribe(
            new Reader() {
              @Override
              public void onNext(TextPiece piece) {
                throw new IllegalStateException("enough");
              }

              @Override
              public void onSubscribe(Flow.Subscription given) {
                given.request(Long.MAX_VALUE);
              }
            });
    assertEquals(FinishReason.CANCELLED, completion.join().finishReason());
    assertEquals(FinishReason.LENGTH, other.join().finishReason());
  }

  @Test
  void theRulesOfFlowHold() {
    TextCompletion completion = service.submit(ENDLESS);
    assertThrows(NullPointerException.class, () -> completion.pieces().subscribe(null));
    Reader first = new Reader();
    completion.pieces().subscribe(first);
    Reader second = new Reader();
    completion.pieces().subscribe(second);
    second.subscription.request(1);
    assertEquals("the pieces of a completion have one reader", second.over.join().getMessage());
    assertThrows(IllegalStateException.class, completion::next);
    first.subscription.request(0);
    assertInstanceOf(IllegalArgumentException.class, first.over.join());
    assertEquals(FinishReason.CANCELLED, completion.join().finishReason());

    TextCompletion left = service.submit(ENDLESS);
    Reader leaver = new Reader();
    left.pieces().subscribe(leaver);
    leaver.subscription.cancel();
    leaver.subscription.cancel();
    leaver.subscription.request(1);
    assertEquals(FinishReason.CANCELLED, left.join().finishReason());
    assertTrue(leaver.pieces.isEmpty() && !leaver.over.isDone());
  }

  @Test
  void aRequestIsCancelledByAnyThreadAndByItsFuture() {
    TextCompletion completion = service.submit(ENDLESS);
    completion.next();
    Thread.startVirtualThread(completion::cancel);
    GenerationResult result = completion.join();
    assertEquals(FinishReason.CANCELLED, result.finishReason());
    StringBuilder rest = new StringBuilder();
    for (Optional<TextPiece> next = completion.next(); next.isPresent(); next = completion.next()) {
      rest.append(next.get().content());
    }
    assertTrue(result.text().endsWith(rest.toString()));

    service.submit(ENDLESS).result().cancel(true);
    service.submit(ENDLESS).result().cancel(true);
    assertEquals(30, service.submit(TextRequest.of(PROMPT, OPTIONS)).join().tokens().size());
  }

  @Test
  void aDeadlineEndsARequest() {
    GenerationResult late = service.submit(ENDLESS.withDeadline(Duration.ofMillis(50))).join();
    assertEquals(FinishReason.DEADLINE, late.finishReason());
    GenerationResult none = service.submit(ENDLESS.withDeadline(Duration.ZERO)).join();
    assertEquals(List.of(), none.tokens());
    assertEquals(FinishReason.DEADLINE, none.finishReason());
  }

  @Test
  void ofThoseThatWaitAHigherPriorityStartsFirst() {
    TextCompletion one = service.submit(ENDLESS);
    TextCompletion two = service.submit(ENDLESS);
    one.next();
    two.next(); // both sequences run
    TextCompletion low = service.submit(TextRequest.of(PROMPT, OPTIONS));
    TextCompletion high = service.submit(TextRequest.of(PROMPT, OPTIONS).withPriority(1));
    one.cancel();
    assertTrue(high.join().times().queue() < low.join().times().queue());
    two.cancel();
  }

  @Test
  void aServiceThatIsFullSaysSo() {
    TextService small = TextService.of(model, ServiceOptions.USUAL.withWaiting(1));
    List<TextCompletion> all =
        List.of(small.submit(ENDLESS), small.submit(ENDLESS), small.submit(ENDLESS));
    String said =
        assertThrows(PanamoeException.Busy.class, () -> small.submit(ENDLESS)).getMessage();
    assertEquals("3 requests are unfinished, the service takes no more: try again later", said);
    all.getFirst().cancel();
    all.getFirst().join();
    assertThrows(PanamoeException.BadArgument.class, () -> small.submit(null)); // takes no place
    small.submit(ENDLESS);
    assertEquals(3, small.unfinished());
    small.closeWhenIdle(Duration.ZERO);
  }

  @Test
  void closingDrains() {
    TextService first = TextService.of(model, ServiceOptions.USUAL);
    List<TextCompletion> completions = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      completions.add(first.submit(request(i)));
    }
    TextCompletion others = service.submit(ENDLESS); // of another service of the model
    first.close();
    first.close();
    assertEquals(0, first.unfinished());
    completions.forEach(each -> assertTrue(each.join().usage().completion() > 0));
    String said =
        assertThrows(IllegalStateException.class, () -> first.submit(request(0))).getMessage();
    assertEquals("the service is closed", said);
    assertTrue(others.next().isPresent());

    service.closeWhenIdle(Duration.ofMillis(20));
    CompletionException failed =
        assertThrows(CompletionException.class, () -> others.result().join());
    assertEquals(
        "the service was closed before the completion ended", failed.getCause().getMessage());
    assertEquals(30, model.generate(PROMPT, OPTIONS).tokens().size());
  }

  @Test
  void anInterruptedThreadDoesNotWait() {
    TextCompletion completion = service.submit(ENDLESS);
    Thread.currentThread().interrupt();
    assertEquals(FinishReason.CANCELLED, completion.join().finishReason());
    assertTrue(Thread.interrupted());
    TextCompletion other = service.submit(ENDLESS);
    Thread.currentThread().interrupt();
    service.close();
    assertTrue(Thread.interrupted());
    assertThrows(IllegalStateException.class, other::join);
  }

  @Test
  void aModelIsClosedUnderAStream() {
    MoeModel closing = MoeModel.open(device, folder);
    TextService under = TextService.of(closing, ServiceOptions.USUAL);
    Reader reader = new Reader();
    TextCompletion completion = under.submit(ENDLESS);
    TextCompletion waiting = under.submit(ENDLESS);
    completion.pieces().subscribe(reader);
    reader.subscription.request(1);
    closing.close();
    String said = "the model was closed before the completion ended";
    assertEquals(said, reader.over.join().getMessage());
    assertEquals(said, assertThrows(IllegalStateException.class, waiting::join).getMessage());
    assertEquals(
        "the model is closed",
        assertThrows(IllegalStateException.class, () -> under.submit(ENDLESS)).getMessage());
    assertEquals(0, under.unfinished());
    under.close();
  }

  /** Calls of the device go between the steps. */
  @Test
  void theDeviceCanBeUsedMeanwhile() {
    TextCompletion completion = service.submit(ENDLESS);
    completion.next();
    float[] logits = model.nextLogits(1, 2, 3);
    for (int i = 0; i < 20; i++) {
      assertArrayEquals(logits, model.nextLogits(1, 2, 3), 0f);
    }
    completion.cancel();
  }

  @Test
  void whatDependsOnAResultDoesNotHoldTheEngineUp() {
    CountDownLatch never = new CountDownLatch(1);
    service
        .submit(TextRequest.of(PROMPT, OPTIONS))
        .result()
        .thenAccept(
            _ -> {
              try {
                never.await();
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    assertEquals(30, service.submit(TextRequest.of(PROMPT, OPTIONS)).join().tokens().size());
    never.countDown();
  }

  /** A model with room for conversations. */
  private static void withRoom(Consumer<TextService> test) {
    Path file = Path.of("../lab/golden/gguf/qwen3moe_text_q8_0.gguf");
    try (MoeModel roomy = MoeModel.open(device, file)) {
      test.accept(TextService.of(roomy, ServiceOptions.USUAL));
    }
  }

  @Test
  void aSessionKeepsItsPrefix() {
    withRoom(
        roomy -> {
          List<ChatMessage> talk = List.of(ChatMessage.system("Be brief. ".repeat(20)));
          ChatSession session = roomy.chat(talk, ChatOptions.of(20));
          GenerationResult first = session.reply("Whom do you thank?").join();
          assertEquals(3, session.messages().size());
          GenerationResult next = session.reply("And what for?").join();
          assertTrue(next.usage().cached() >= first.usage().prompt() - 32, next::toString);
          assertTrue(next.usage().cached() >= 16, next::toString);
          assertEquals(
              List.of("system", "user", "assistant", "user", "assistant"),
              session.messages().stream().map(ChatMessage::role).toList());
        });
  }

  @Test
  void aSessionRepliesOnceAtATime() {
    ChatSession other = service.chat(List.of(), ChatOptions.of(ENDLESS_OPTIONS));
    TextCompletion endless = other.reply("?");
    String said = assertThrows(IllegalStateException.class, () -> other.reply("Was?")).getMessage();
    assertEquals("the reply before has not ended: wait for it, or cancel it", said);
    endless.cancel();
    endless.join();
    assertEquals(List.of(), other.messages());
    assertThrows(PanamoeException.BadArgument.class, () -> other.reply((ChatMessage) null));
    assertThrows(PanamoeException.BadArgument.class, () -> other.reply((ChatMessage[]) null));
    assertThrows(PanamoeException.BadArgument.class, () -> service.chat(null, ChatOptions.of(1)));
  }

  /** Whoever is told of a reply's end may ask for the next one. */
  @Test
  void aSessionGoesOnWhenASubscriberIsTold() throws Exception {
    for (int i = 0; i < 20; i++) {
      ChatSession talk = service.chat(List.of(), ChatOptions.of(1));
      CompletableFuture<Integer> messages = new CompletableFuture<>();
      talk.reply("?")
          .pieces()
          .subscribe(
              new Flow.Subscriber<>() {
                @Override
                public void onSubscribe(Flow.Subscription subscription) {
                  subscription.request(Long.MAX_VALUE);
                }

                @Override
                public void onNext(TextPiece piece) {}

                @Override
                public void onError(Throwable failure) {
                  messages.completeExceptionally(failure);
                }

                @Override
                public void onComplete() {
                  messages.complete(talk.messages().size());
                }
              });
      assertEquals(2, messages.get(30, TimeUnit.SECONDS));
    }
  }

  @Test
  void schemasAndEndsAreThoseOfTheModel() {
    String schema = "{\"type\": \"boolean\"}";
    GenerationResult bool =
        service.submit(TextRequest.of(PROMPT, OPTIONS.withSchema(schema))).join();
    assertTrue(bool.text().matches("true|false"), bool.text());
    int room = model.context() - model.encode(PROMPT).length;
    GenerationResult full =
        service.submit(TextRequest.of(PROMPT, GenerationOptions.of(room + 9))).join();
    assertEquals(FinishReason.CONTEXT, full.finishReason());
  }

  @Test
  void callsAreStreamed() {
    withRoom(
        roomy -> {
          Tool vote =
              new Tool(
                  "vote",
                  null,
                  "{\"type\": \"object\", \"properties\": {\"side\": {\"enum\": [\"ayes\"]}},"
                      + " \"required\": [\"side\"], \"additionalProperties\": false}");
          ChatOptions calling =
              ChatOptions.of(200)
                  .withTools(vote)
                  .withChoice(ToolChoice.REQUIRED)
                  .withParallel(false);
          List<TextPiece.CallPiece> streamed = new ArrayList<>();
          GenerationResult called =
              roomy
                  .submit(TextRequest.of(List.of(ChatMessage.user("?")), calling))
                  .forEach(piece -> streamed.addAll(piece.calls()));
          ToolCall call = called.message().calls().getFirst();
          assertEquals("vote", call.name());
          assertEquals("{\"side\": \"ayes\"}", call.arguments());
          assertEquals(call.id(), streamed.getFirst().id());
          assertEquals(
              call.arguments(),
              String.join("", streamed.stream().map(TextPiece.CallPiece::arguments).toList()));
        });
  }

  /** The thread that generates ends by itself. */
  @Test
  void aServiceThatIsDroppedLeavesNoThread() throws InterruptedException {
    MoeModel dropped = MoeModel.open(device, folder);
    TextCompletion completion = TextService.of(dropped, ServiceOptions.USUAL).submit(ENDLESS);
    completion.next();
    Set<Thread> engines = new HashSet<>(Thread.getAllStackTraces().keySet());
    engines.removeIf(thread -> !thread.getName().equals("engine"));
    assertFalse(engines.isEmpty());
    completion.cancel();
    for (Thread engine : engines) {
      engine.join(); // of other tests too, which have no requests any more
    }
    assertEquals(5, dropped.generate(PROMPT, GenerationOptions.of(5)).tokens().size());
    dropped.close();
  }

  @Test
  void aWaitInsideACallOfTheDeviceIsRefused() {
    Access.to("device", device)
        .lifetime()
        .run(
            () -> {
              String said =
                  assertThrows(IllegalStateException.class, () -> model.generate(PROMPT, OPTIONS))
                      .getMessage();
              assertTrue(said.contains("is in use by this thread"), said);
              assertThrows(IllegalStateException.class, service::close);
            });
  }

  @Test
  void theExamplesRun() {
    withRoom(roomy -> assertEquals(5, TextServiceExample.talk(roomy).size()));
    assertEquals(3, TextServiceExample.run(folder).size());
    assertFalse(TextServiceExample.stream(service).text().isEmpty());
    String whole = model.generate("Die Würde", GenerationOptions.of(100)).text();
    String pulled = TextServiceExample.pull(service);
    assertTrue(pulled.length() > 20 && whole.startsWith(pulled), pulled);
  }
}

package panamoe.harness.chat;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Pattern;
import org.jline.terminal.Size;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.engine.schedule.HashEngine;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.generate.GenerationOptions;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Timeout(60)
class ChatTest {
  private static final int CONTEXT = 160;
  private static final EngineConfig CONFIG = EngineConfig.one(CONTEXT);

  /** The output of a conversation, and whether each line was answered. */
  private record Talk(List<String> out, String err, boolean answered) {}

  private static Talk talk(Lines lines, boolean json, Runnable beforeStep) throws Exception {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    GenerationOptions options =
        CommandLine.populateCommand(new GenerationOptions(), "--max-tokens", "24");
    Engine engine = HashEngine.of(CONFIG, CONTEXT, beforeStep);
    boolean answered;
    try (EngineThread thread = new EngineThread(engine, _ -> {}, () -> {});
        lines) {
      answered =
          new Chat(
                  thread,
                  new Conversation(ChatFormat.lines(HashEngine.TOKENIZER), CONTEXT),
                  new Chat.Settings("hash", options, 7, false, json),
                  new PrintWriter(out),
                  new PrintWriter(err))
              .run(lines);
    }
    return new Talk(out.toString().lines().toList(), err.toString(), answered);
  }

  /** The output for a model with thoughts. */
  private static String thinking(boolean thoughts, boolean json) throws Exception {
    ByteTokenizer tokenizer = new ByteTokenizer();
    ChatTemplate template = ChatTemplate.of("{{ messages[-1].content }}:", "t", Map.of());
    Engine engine = ScriptedEngine.of(CONFIG, CONTEXT, "<think>\nHm.\n</think>\n\nAye.");
    StringWriter out = new StringWriter();
    GenerationOptions options = CommandLine.populateCommand(new GenerationOptions());
    Lines lines = new PipedLines(new BufferedReader(new StringReader("So?")));
    try (EngineThread thread = new EngineThread(engine, _ -> {}, () -> {});
        lines) {
      new Chat(
              thread,
              new Conversation(ChatFormat.of(template, tokenizer), CONTEXT),
              new Chat.Settings("script", options, 7, thoughts, json),
              new PrintWriter(out),
              new PrintWriter(out))
          .run(lines);
    }
    return out.toString();
  }

  @Test
  void thoughtsAreDimmedOrLeftOut() throws Exception {
    assertEquals("\u001b[2mHm.\u001b[0m\nAye.\n", thinking(true, false));
    assertEquals("Aye.\n", thinking(false, false));
    JsonNode told = json(thinking(true, true));
    assertEquals("Aye.", told.get("text").stringValue());
    assertEquals("Hm.", told.get("reasoning").stringValue());
  }

  private static Talk talk(String... lines) throws Exception {
    String text = String.join("\n", lines);
    return talk(new PipedLines(new BufferedReader(new StringReader(text))), true, () -> {});
  }

  private static String answer(String prompt, long seed) {
    GenerationOptions options = CommandLine.populateCommand(new GenerationOptions());
    try (Engine engine = HashEngine.of(CONFIG, CONTEXT, () -> {})) {
      return engine
          .run(
              GenerationRequest.of(
                  HashEngine.TOKENIZER.encode(prompt),
                  options.sampling(seed),
                  StopConfig.of(24, List.of("\nuser:"))),
              _ -> {})
          .text()
          .strip();
    }
  }

  private static JsonNode json(String line) throws IOException {
    return JsonMapper.shared().readTree(line);
  }

  @Test
  void eachAnswerFollowsTheConversationAndSharesItsBeginning() throws Exception {
    Talk talk = talk("hello", "", "and now", "/reset", "/seed 7", "hello");
    assertEquals("", talk.err());
    assertTrue(talk.answered());
    assertEquals(3, talk.out().size());
    String first = answer("user: hello\nassistant:", 7);
    assertEquals(first, json(talk.out().getFirst()).get("text").stringValue());
    String prompt = "user: hello\nassistant: " + first + "\nuser: and now\nassistant:";
    JsonNode second = json(talk.out().get(1));
    assertEquals(answer(prompt, 8), second.get("text").stringValue());
    assertTrue(second.get("cached_tokens").intValue() >= 16, second::toString);
    assertEquals(first, json(talk.out().getLast()).get("text").stringValue());
  }

  @Test
  void commands() throws Exception {
    Talk talk =
        talk(
            "/system be kind",
            "/temperature 0",
            "hello",
            "/nothing",
            "/seed x",
            "/temperature -1",
            "/help",
            "/quit",
            "more");
    assertEquals(1, talk.out().size());
    assertEquals(
        json(talk.out().getFirst()).get("prompt_tokens").intValue(),
        "system: be kind\nuser: hello\nassistant:".length());
    List<String> err = talk.err().lines().toList();
    assertEquals("there is no command /nothing; see /help", err.getFirst());
    assertEquals("/seed needs a number, not 'x'", err.get(1));
    assertEquals("temperature is -1.0, expected 0 to 100", err.get(2));
    assertEquals(9, err.size());
  }

  @Test
  void aTextThatFailsAndAMessageThatIsTooLongAreTakenBack() throws Exception {
    Talk talk = talk("a~", "x".repeat(CONTEXT), "hello");
    assertFalse(talk.answered());
    List<String> why = talk.err().lines().toList();
    assertTrue(why.getFirst().contains("not finite"), talk.err());
    assertTrue(why.getLast().contains("no room in the model's context of 160"), talk.err());
    assertEquals(3, talk.out().size());
    for (int i = 0; i < 2; i++) {
      assertEquals(why.get(i), json(talk.out().get(i)).get("error").stringValue());
    }
    assertEquals(
        answer("user: hello\nassistant:", 7), json(talk.out().getLast()).get("text").stringValue());
  }

  @Test
  void theOldestMessagesAreForgottenFirst() {
    Conversation conversation = new Conversation(ChatFormat.lines(HashEngine.TOKENIZER), CONTEXT);
    conversation.system("be kind");
    for (String message : List.of("one", "two", "three", "four", "x".repeat(60))) {
      conversation.add(message);
    }
    int[] prompt = conversation.prompt(30);
    assertArrayEquals(
        HashEngine.TOKENIZER.encode(
            "system: be kind\nuser: three\nassistant: four\nuser: "
                + "x".repeat(60)
                + "\nassistant:"),
        prompt);
    assertEquals(3, conversation.size());
    conversation.takeBack();
    conversation.add("x".repeat(CONTEXT));
    assertThrows(IllegalArgumentException.class, () -> conversation.prompt(40));
  }

  @Test
  void ctrlCStopsAnAnswerDropsALineAndEndsOnAnEmptyOne() throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    ByteArrayOutputStream screen = new ByteArrayOutputStream();
    PipedOutputStream keys = new PipedOutputStream();
    List<String> taken = new ArrayList<>();
    try (PipedInputStream in = new PipedInputStream(keys);
        Terminal terminal =
            TerminalBuilder.builder()
                .system(false)
                .ffm(false) // its pseudo-terminal belongs to no process
                .streams(in, screen)
                .type("xterm")
                .encoding(StandardCharsets.UTF_8)
                .size(Size.of(80, 24))
                .build()) {
      Lines typed = new TerminalLines(terminal, null);
      Lines told =
          new Lines() {
            @Override
            public String next() throws IOException, InterruptedException {
              String line = typed.next();
              taken.add(line);
              return line;
            }

            @Override
            public int columns() {
              return typed.columns();
            }

            @Override
            public void onInterrupt(Runnable cancel) {
              typed.onInterrupt(
                  () -> {
                    cancel.run();
                    stopped.countDown();
                  });
              asked.countDown();
            }

            @Override
            public void close() throws IOException {
              typed.close();
            }
          };
      Thread typist =
          Thread.startVirtualThread(
              () -> {
                try {
                  awaitShown(screen, "> "); // before it reads, Ctrl-C would reach another handler
                  type(keys, "half");
                  awaitShown(screen, "half");
                  type(keys, "\u0003"); // drops the line
                  awaitShown(screen, "half.*> ");
                  type(keys, "hello\r");
                  asked.await();
                  type(keys, "\u0003");
                  stopped.await();
                  type(keys, "\u0003");
                } catch (IOException | InterruptedException e) {
                  throw new IllegalStateException(e);
                }
              });
      Talk talk = talk(told, true, () -> await(stopped));
      typist.join();
      assertEquals("hello", taken.getFirst());
      assertNull(taken.getLast());
      assertEquals(2, taken.size());
      assertEquals("cancelled", json(talk.out().getFirst()).get("end").stringValue());
    }
    String shown = screen.toString(StandardCharsets.UTF_8);
    assertTrue(shown.contains("> "), shown);
    assertFalse(shown.contains("\u001b[c"), "the terminal was asked what it is: " + shown);
  }

  private static void awaitShown(ByteArrayOutputStream screen, String text)
      throws InterruptedException {
    Pattern shown = Pattern.compile(text, Pattern.DOTALL);
    while (!shown.matcher(screen.toString(StandardCharsets.UTF_8)).find()) {
      Thread.sleep(5); // the test's timeout ends it
    }
  }

  private static void type(PipedOutputStream keys, String text) throws IOException {
    keys.write(text.getBytes(StandardCharsets.UTF_8));
    keys.flush();
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}

package panamoe.harness.chat;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import panamoe.conversation.template.TemplateException;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.generate.GenerationOptions;
import panamoe.io.Count;
import panamoe.io.Words;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A conversation on a terminal or a pipe: answers messages, and executes commands with a slash. */
final class Chat {
  private static final String HELP =
      """
      /system TEXT    what stands before the conversation; without TEXT nothing
      /reset          forgets all messages
      /seed N         seed of the next answer; each later one has the next number
      /temperature X  0 takes the most probable token
      /quit           ends, as Ctrl-D does
      Ctrl-C          stops an answer, drops a line, and ends on an empty one
      """;

  /**
   * Settings of answers.
   *
   * @param model its name, for the greeting on a terminal
   * @param seed of the first answer
   * @param thoughts whether to print thoughts, dimmed
   * @param json whether to print one JSON object per line
   */
  record Settings(
      String model, GenerationOptions text, long seed, boolean thoughts, boolean json) {}

  private final EngineThread engine;
  private final Conversation conversation;
  private final Settings settings;
  private final PrintWriter out;
  private final PrintWriter err;
  private long seed;
  private double temperature;

  /**
   * @param out receives answers
   * @param err receives everything else
   */
  Chat(
      EngineThread engine,
      Conversation conversation,
      Settings settings,
      PrintWriter out,
      PrintWriter err) {
    this.engine = engine;
    this.conversation = conversation;
    this.settings = settings;
    this.out = out;
    this.err = err;
    this.seed = settings.seed();
    this.temperature = settings.text().temperature();
  }

  /**
   * Answers lines until their end.
   *
   * @return whether every line was answered
   */
  boolean run(Lines lines) throws InterruptedException, IOException {
    if (lines.columns() > 0 && !settings.json()) {
      err.println(
          Words.of(
              "%s, a context of %s; /help lists commands, Ctrl-D ends",
              settings.model(), Count.of(conversation.context(), "token")));
      err.flush();
    }
    boolean all = true;
    for (String line = lines.next(); line != null; line = lines.next()) {
      if (line.strip().equals("/quit")) {
        return all;
      }
      try {
        if (line.startsWith("/")) {
          command(line.strip());
        } else if (!line.isBlank()) {
          answer(lines, line.strip());
        }
      } catch (IllegalArgumentException | TemplateException e) {
        err.println(e.getMessage());
        all = false;
      }
      err.flush();
    }
    return all;
  }

  private void command(String line) {
    String[] words = line.split("\\s+", 2);
    String value = words.length == 1 ? "" : words[1];
    switch (words[0]) {
      case "/help" -> err.print(HELP);
      case "/reset" -> conversation.reset();
      case "/system" -> conversation.system(value);
      case "/seed" -> seed = number(words[0], value).longValue();
      case "/temperature" -> {
        double wanted = number(words[0], value).doubleValue();
        settings.text().sampling(wanted, seed); // refuses values out of range
        temperature = wanted;
      }
      default ->
          throw new IllegalArgumentException("there is no command " + words[0] + "; see /help");
    }
  }

  private static Number number(String command, String value) {
    try {
      return command.equals("/seed") ? Long.valueOf(value) : Double.valueOf(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(command + " needs a number, not '" + value + "'", e);
    }
  }

  private void answer(Lines lines, String message) throws InterruptedException {
    conversation.add(message);
    try {
      int before = conversation.size();
      int[] prompt =
          conversation.prompt(Math.min(settings.text().maxTokens(), conversation.context() / 4));
      if (conversation.size() < before) {
        err.println("(the context is full: the oldest messages are forgotten)");
        err.flush();
      }
      conversation.add(write(lines, prompt));
      seed++;
    } catch (RuntimeException e) {
      conversation.takeBack();
      if (settings.json()) { // a reader pairs messages with lines
        out.println(JsonNodeFactory.instance.objectNode().put("error", e.getMessage()));
        out.flush();
      }
      throw e;
    }
  }

  /** Generates an answer; returns its content. */
  private String write(Lines lines, int[] prompt) throws InterruptedException {
    List<String> stops = new ArrayList<>(conversation.ends().texts());
    stops.addAll(settings.text().stop());
    int most = Math.min(settings.text().maxTokens(), conversation.context() - prompt.length);
    GenerationRequest request =
        GenerationRequest.of(
            prompt,
            settings.text().sampling(temperature, seed),
            new StopConfig(most, 0, stops, conversation.ends().tokens(), false, true));
    PieceQueue pieces = new PieceQueue();
    GenerationHandle handle = engine.submit(request, pieces);
    lines.onInterrupt(handle::cancel);
    Answer answer =
        new Answer(
            conversation.reply(),
            settings.json() ? null : new WrappedText(out, lines::columns),
            settings.thoughts() && !settings.json());
    Generation text = null;
    try {
      text = pieces.await(handle, answer::next);
    } finally {
      answer.end(text == null || text.cut()); // resets a dimmed terminal
    }
    if (settings.json()) {
      ObjectNode node = JsonNodeFactory.instance.objectNode().put("text", answer.said());
      if (!answer.thought().isEmpty()) {
        node.put("reasoning", answer.thought());
      }
      out.println(
          node.put("end", text.end().name().toLowerCase(Locale.ROOT))
              .put("tokens", text.tokens())
              .put("prompt_tokens", text.promptTokens())
              .put("cached_tokens", text.sharedTokens())
              .put("seed", seed));
    } else {
      out.println();
      out.flush(); // before the line below
      if (lines.columns() > 0) {
        err.println("(" + pace(text) + ")");
      }
    }
    out.flush();
    return answer.said();
  }

  /** The number of tokens, and how many came in a second after the first. */
  private static String pace(Generation text) {
    String stopped = text.end() == Generation.End.CANCELLED ? "stopped after " : "";
    String tokens = stopped + Count.of(text.tokens(), "token");
    double seconds = text.times().decodeSeconds();
    return text.tokens() < 2 || seconds == 0
        ? tokens
        : Words.of("%s, %.1f tokens/s", tokens, (text.tokens() - 1) / seconds);
  }
}

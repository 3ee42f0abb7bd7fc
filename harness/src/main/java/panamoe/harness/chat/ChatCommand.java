package panamoe.harness.chat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.conversation.ChatFormat;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.ContextOption;
import panamoe.harness.ModelArgument;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.TemplateOption;
import panamoe.harness.generate.GenerationOptions;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.io.FileErrors;
import panamoe.io.Require;
import panamoe.io.UserFolder;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panamoe chat}. */
@Command(
    name = "chat",
    customSynopsis = "panamoe chat [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Talks with a trained model on the terminal.",
    footer = {
      "",
      "Examples:",
      "  panamoe chat novels",
      "  panamoe chat novels --temperature 0 --max-tokens 100",
      "  panamoe chat hf:Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M   by name: fetched once, then in the cache",
      "  echo \"Who are you?\" | panamoe chat novels   without a terminal: lines in, answers out",
      "",
      "MODEL is a run's folder (its latest checkpoint) or one checkpoint in it. Ctrl-C stops an",
      "answer; Ctrl-D, /quit or Ctrl-C on an empty line ends. /help lists the other commands.",
      "The first answer has the seed --seed, each later one the next."
    })
public final class ChatCommand implements Subcommand {
  private static final long POLL_MILLIS = 100;

  @Mixin private SharedOptions shared;
  @Mixin private GenerationOptions text;
  @Mixin private RankOptions rankOptions;
  @Mixin private TemplateOption template;
  @Mixin private ContextOption context;

  @Mixin private ModelArgument model;

  @Option(
      names = "--hide-thoughts",
      description =
          "Does not show what a model thinks before it answers; a terminal shows it dimmed.")
  private boolean hideThoughts;

  @Option(
      names = "--no-history",
      description =
          "Does not keep the lines typed on a terminal, nor offer earlier ones. Without it a line that begins with a blank is not kept.")
  private boolean noHistory;

  @Override
  public Integer call() throws Exception {
    shared.checked(() -> text.sampling(shared.seed()));
    shared.checked(() -> text.engine(1));
    ModelFolder opened = ModelFolder.open(model.path());
    opened.config().requireGeneration();
    ModelFolder folder = shared.checked(() -> context.of(opened));
    Require.that(
        folder.config().encoder() == null,
        "%s has an encoder: it takes one prompt, not a conversation; use generate or serve",
        opened.path());
    folder.tokenizer(); // refuses a model without a tokenizer
    text.complete(folder);
    shared.checked(() -> text.requireExperts(folder));
    ChatFormat chat = template.format(folder);
    shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    boolean answered =
        new RankRun(rankOptions, shared)
            .run((ranks, backend, stop) -> talk(ranks, backend, folder, chat, stop));
    return answered ? 0 : 1;
  }

  /** Returns whether every line of a pipe was answered; on a terminal the user sees it. */
  private boolean talk(
      Ranks ranks, Backend backend, ModelFolder folder, ChatFormat chat, BooleanSupplier stop)
      throws Exception {
    boolean[] answered = {true};
    new EngineRun(folder, text.held(folder), shared.err(), stop)
        .run(
            ranks,
            backend,
            text.engine(folder.config().context()),
            engine ->
                answered[0] =
                    talk(engine, new Conversation(chat, folder.config().context()), stop)
                        || onTerminal());
    return answered[0];
  }

  private boolean talk(Engine engine, Conversation conversation, BooleanSupplier stop) {
    Thread talking = Thread.currentThread();
    Thread watch = Thread.startVirtualThread(() -> interruptAt(stop, talking));
    EngineThread writer = new EngineThread(engine, _ -> {}, talking::interrupt);
    try (writer;
        Lines lines = lines()) {
      boolean thoughts = onTerminal() && !hideThoughts;
      return new Chat(
              writer,
              conversation,
              new Chat.Settings(model.name(), text, shared.seed(), thoughts, shared.json()),
              shared.out(),
              shared.err())
          .run(lines);
    } catch (InterruptedException _) {
      if (writer.failure() != null) {
        throw new IllegalStateException(writer.failure().getMessage(), writer.failure());
      }
      throw new CancellationException();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      watch.interrupt();
    }
  }

  private static boolean onTerminal() {
    return System.console() != null && System.console().isTerminal();
  }

  private Lines lines() throws IOException {
    if (onTerminal()) {
      return TerminalLines.open(noHistory ? null : history());
    }
    return new PipedLines(
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
  }

  /** The file of earlier lines; null if the user has no folder that it can be in. */
  private Path history() {
    Path file = UserFolder.STATE.path(System.getenv(), "chat-history").orElse(null);
    try {
      if (file != null) {
        Files.createDirectories(file.getParent());
      }
      return file;
    } catch (IOException e) {
      shared.note("lines are not kept: %s: %s", file, FileErrors.reason(e));
      return null;
    }
  }

  /** Interrupts the wait for lines and pieces when the program should end. */
  private static void interruptAt(BooleanSupplier stop, Thread talking) {
    try {
      while (!stop.getAsBoolean()) {
        Thread.sleep(POLL_MILLIS);
      }
      talking.interrupt();
    } catch (InterruptedException _) {
      // the conversation is over
    }
  }
}

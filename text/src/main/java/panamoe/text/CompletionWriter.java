package panamoe.text;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import panamoe.api.internal.Failures;
import panamoe.conversation.reply.Reply;
import panamoe.data.Markers;
import panamoe.engine.Generation;
import panamoe.engine.GenerationListener;
import panamoe.engine.sample.TokenLogprobs;

/** Writes what the engine generates into a completion. Used by the engine's thread. */
final class CompletionWriter implements GenerationListener {
  private final TextCompletion completion;
  private final Reply reply; // null for a completed prompt
  private final int maxTokens;
  private final Runnable onEnd;
  private final Supplier<RuntimeException> closed;
  private final List<Integer> tokens = new ArrayList<>();
  private final List<Logprob> logprobs = new ArrayList<>();
  private int told; // tokens of the pieces so far

  /**
   * @param reply reads a reply; null for a completed prompt
   * @param maxTokens maximum number of tokens
   * @param onEnd called before the completion ends
   * @param closed the failure of a completion that was cancelled by no caller
   */
  CompletionWriter(
      TextCompletion completion,
      Reply reply,
      int maxTokens,
      Runnable onEnd,
      Supplier<RuntimeException> closed) {
    this.completion = completion;
    this.reply = reply;
    this.maxTokens = maxTokens;
    this.onEnd = onEnd;
    this.closed = closed;
  }

  @Override
  public void sampled(int token, TokenLogprobs logprob, int[] experts) {
    tokens.add(token);
    if (logprob != null) {
      logprobs.add(Logprob.of(token, logprob));
    }
  }

  @Override
  public void wrote(String piece) {
    guarded(() -> write(piece));
  }

  @Override
  public void marked(String name) {
    guarded(() -> write(Markers.of(name)));
  }

  /** Fails the completion if it cannot be read; the engine then ends its sequence. */
  private void guarded(Runnable reading) {
    try {
      reading.run();
    } catch (RuntimeException | StackOverflowError e) {
      RuntimeException failure =
          new IllegalStateException("the completion cannot be read: " + e, e);
      failed(failure);
      throw failure;
    }
  }

  private void write(String marked) {
    if (reply != null) {
      put(reply.next(marked, tokens.size() - told));
    } else {
      put(new Reply.Read("", Markers.without(marked), List.of()));
    }
  }

  private void put(Reply.Read read) {
    boolean said =
        !read.reasoning().isEmpty() || !read.content().isEmpty() || !read.calls().isEmpty();
    if (!said && told == tokens.size()) {
      return;
    }
    int from = told;
    told = tokens.size();
    completion.put(
        new TextPiece(
            read.reasoning(),
            read.content(),
            read.calls().stream()
                .map(
                    call ->
                        new TextPiece.CallPiece(
                            call.index(), call.id(), call.name(), call.arguments()))
                .toList(),
            tokens.subList(from, told),
            logprobs.isEmpty() ? List.of() : logprobs.subList(from, told)));
  }

  @Override
  public void ended(Generation generation) {
    guarded(
        () -> put(reply == null ? new Reply.Read("", "", List.of()) : reply.end(generation.cut())));
    onEnd.run();
    if (generation.end() != Generation.End.CANCELLED || completion.isCancelled()) {
      completion.end(result(generation));
    } else {
      String why = completion.aborted();
      completion.fail(why == null ? closed.get() : new IllegalStateException(why));
    }
  }

  private GenerationResult result(Generation generation) {
    Generation.Times times = generation.times();
    return new GenerationResult(
        generation.text(),
        reply == null ? ChatMessage.assistant(generation.text()) : ChatMessage.of(reply),
        tokens,
        logprobs,
        FinishReason.of(generation, maxTokens),
        new GenerationResult.Usage(
            generation.promptTokens(),
            generation.sharedTokens(),
            generation.tokens(),
            reply == null ? 0 : Math.toIntExact(reply.thoughtTokens())),
        new GenerationResult.Times(
            times.started() == 0 ? 0 : (times.started() - times.submitted()) / 1e9,
            times.prefillSeconds(),
            times.decodeSeconds()));
  }

  @Override
  public void failed(RuntimeException failure) {
    onEnd.run();
    completion.fail(translated(failure));
  }

  /** The facade's exception. */
  static Throwable translated(Throwable failure) {
    try {
      Failures.run(
          () -> {
            switch (failure) {
              case RuntimeException e -> throw e;
              case Error e -> throw e;
              default -> throw new IllegalStateException(failure);
            }
          });
      throw new AssertionError(failure);
    } catch (RuntimeException | Error e) {
      return e;
    }
  }
}

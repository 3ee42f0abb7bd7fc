package panamoe.text;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.function.Consumer;
import panamoe.api.internal.Lifetime;
import panamoe.data.Markers;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationOutcome;
import panamoe.engine.GenerationRequest;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;

/**
 * A completion that the caller generates token by token. All sequences of a model advance together:
 * a step for one of them computes the next tokens of all, which are kept until they are asked for.
 * Beyond the model's number of sequences, the next one begins when another has ended. One thread at
 * a time may call it, like everything on a device; {@link #cancel} may be called by any thread.
 *
 * {@snippet file="panamoe/text/MoeModelExample.java" region="session"}
 */
public final class TextSession implements AutoCloseable {
  private final Engine engine;
  private final GenerationHandle handle;
  private final Lifetime life;
  private final Written written;

  /**
   * Called inside a call of the model.
   *
   * @param model the lifetime of the model
   */
  TextSession(Engine engine, GenerationRequest request, Lifetime model) {
    this.engine = engine;
    this.written = new Written(request.stop().maxTokens());
    this.handle = engine.submit(request, written);
    this.life = model.begin("the completion", handle::cancel);
  }

  /**
   * The next token; empty when the completion has ended. If the thread is interrupted, the
   * completion ends as cancelled, and the interrupt status stays set.
   *
   * @throws panamoe.api.PanamoeException.Diverged if the model's values are not finite
   * @throws IllegalStateException if the session is closed, or another thread uses the device
   */
  public Optional<Token> next() {
    return nextMarked().map(token -> new Token(token.id(), Markers.without(token.text())));
  }

  /** The next token; in its text special tokens are {@link Markers}. */
  Optional<Token> nextMarked() {
    return life.use(
        () -> {
          while (written.waitsForMore()) {
            if (Thread.currentThread().isInterrupted()) {
              handle.cancel();
            }
            engine.step();
          }
          return written.take();
        });
  }

  /**
   * Ends the completion before its next token; tokens that were computed are still returned. Any
   * thread may call it. Idempotent.
   */
  public void cancel() {
    handle.cancel();
  }

  /** Generates the rest, and closes the session. */
  GenerationResult toEnd(Consumer<String> onText) {
    try (this) {
      for (Optional<Token> next = next(); next.isPresent(); next = next()) {
        if (!next.get().text().isEmpty()) {
          onText.accept(next.get().text());
        }
      }
      return result();
    }
  }

  /**
   * The whole completion, after {@link #next} has returned all of it.
   *
   * @throws panamoe.api.PanamoeException.Diverged like {@link #next}
   * @throws IllegalStateException if it has not ended, or the session is closed
   */
  public GenerationResult result() {
    return life.use(written::result);
  }

  Generation generation() {
    return life.use(written::generation);
  }

  /** Cancels the completion if it has not ended. Idempotent; throws like {@link MoeModel#close}. */
  @Override
  public void close() {
    life.close();
  }

  /** Collects the engine's tokens. Used inside calls of the device. */
  private static final class Written extends GenerationOutcome {
    private final int maxTokens;
    private final Queue<Token> tokens = new ArrayDeque<>();
    private final List<Integer> ids = new ArrayList<>();
    private final StringBuilder piece = new StringBuilder();
    private int drawn = Token.NONE; // its piece of text is not complete yet

    Written(int maxTokens) {
      this.maxTokens = maxTokens;
    }

    @Override
    public void sampled(int token, TokenLogprobs logprobs, int[] experts) {
      complete();
      drawn = token;
      ids.add(token);
    }

    @Override
    public void wrote(String text) {
      piece.append(text);
    }

    @Override
    public void marked(String name) {
      piece.append(Markers.of(name));
    }

    private void complete() {
      if (drawn != Token.NONE || !piece.isEmpty()) {
        tokens.add(new Token(drawn, piece.toString()));
        drawn = Token.NONE;
        piece.setLength(0);
      }
    }

    boolean waitsForMore() {
      complete();
      return tokens.isEmpty() && !over();
    }

    Optional<Token> take() {
      if (tokens.isEmpty()) {
        generation(); // throws the failure
      }
      return Optional.ofNullable(tokens.poll());
    }

    GenerationResult result() {
      Generation generation = generation();
      return new GenerationResult(
          generation.text(),
          ids,
          FinishReason.of(generation, maxTokens),
          generation.promptTokens(),
          generation.times().prefillSeconds(),
          generation.times().decodeSeconds());
    }
  }
}

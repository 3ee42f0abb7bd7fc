package panamoe.retrieval;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.GenerationRequest.Terms;
import panamoe.engine.Readout;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.op.NotFinite;

/**
 * Reads the rows of prompts, with an engine on a thread of its own. Prompts of all callers share
 * its steps; a result's bits do not depend on them. Thread-safe.
 */
public final class PromptReader implements AutoCloseable {
  private static final int SEQUENCES = 64;

  private final EngineThread thread;

  /**
   * Takes over the backend and the model until it is closed; the caller then frees both.
   *
   * @param model packed for inference
   * @param longest most tokens of a prompt
   * @throws IllegalArgumentException if the model cannot continue a prompt
   */
  public PromptReader(Backend backend, LanguageModel model, Tokenizer tokenizer, int longest) {
    this.thread =
        new EngineThread(new Engine(backend, model, tokenizer, config(longest)), _ -> {}, () -> {});
  }

  /** One prompt of the longest, or many short ones. */
  private static EngineConfig config(int longest) {
    int blocks = Math.ceilDiv(longest, EngineConfig.BLOCK) + SEQUENCES;
    return new EngineConfig(
        blocks, EngineConfig.BLOCK, SEQUENCES, EngineConfig.STEP_TOKENS, 0, true, 0);
  }

  /** A prompt's values, once they are read. */
  private static final class Values extends CompletableFuture<float[]>
      implements GenerationListener {
    private final List<TokenLogprobs> logprobs = new ArrayList<>();
    private GenerationHandle handle;

    @Override
    public void prompted(List<TokenLogprobs> next) {
      logprobs.addAll(next);
    }

    @Override
    public void read(float[] values) {
      complete(values);
    }

    @Override
    public void failed(RuntimeException failure) {
      completeExceptionally(failure);
    }

    @Override
    public void ended(Generation generation) { // no change if it was read
      if (generation.end() == Generation.End.LENGTH) {
        float[] values = new float[logprobs.size()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) logprobs.get(i).logprob();
        }
        complete(values);
      }
      completeExceptionally(new IllegalStateException("the model is closed"));
    }
  }

  /**
   * Reads prompts. If one fails, the others are cancelled.
   *
   * @param prompts tokens, each at most the longest
   * @param readout what is read; with LOGPROBS those of all tokens but the first
   * @param what they are, for messages
   * @param sink receives the values of each prompt, in order, once they are read; an exception that
   *     it throws cancels the others and reaches the caller
   * @throws NotFinite if the model's numbers are not finite, with the number of the prompt
   * @throws CancellationException if the thread is interrupted; its interrupt status stays set
   * @throws IllegalStateException if this is closed
   */
  public void read(List<int[]> prompts, Readout readout, String what, Consumer<float[]> sink) {
    List<Values> asked = new ArrayList<>();
    int read = 0;
    try {
      for (int[] prompt : prompts) {
        Values values = new Values();
        GenerationRequest request = GenerationRequest.reading(prompt, readout, Terms.USUAL);
        values.handle = thread.submit(request, values);
        asked.add(values);
      }
      for (; read < asked.size(); read++) {
        sink.accept(asked.get(read).get());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (CancellationException)
          new CancellationException("the thread was interrupted while a model read for it")
              .initCause(e);
    } catch (ExecutionException e) {
      throw switch (e.getCause()) {
        case NotFinite cause -> new NotFinite(" for " + named(what, read), cause);
        case RuntimeException cause -> cause;
        case Error cause -> throw cause;
        case Throwable cause -> new IllegalStateException(cause);
      };
    } finally {
      asked.forEach(values -> values.handle.cancel());
    }
  }

  /** Names one of several texts in a message. */
  static String named(String what, int index) {
    return what + " " + index + " (counted from 0)";
  }

  /** Refuses a text that is null or empty. */
  static void requireText(String text, String what, int index) {
    Require.that(text != null, "%s is null", named(what, index));
    Require.that(!text.isEmpty(), "%s is empty", named(what, index));
  }

  /** Refuses a prompt of more tokens than the longest, or of none. */
  static void requireFits(int[] tokens, int longest, String what, int index) {
    Require.that(
        tokens.length >= 1 && tokens.length <= longest,
        "%s has %s tokens, expected 1 to %s, the context",
        named(what, index),
        tokens.length,
        longest);
  }

  /** Cancels what is being read, and frees the cache. Idempotent. */
  @Override
  public void close() {
    thread.close();
  }
}

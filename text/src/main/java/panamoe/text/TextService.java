package panamoe.text;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import panamoe.api.Device;
import panamoe.api.PanamoeException;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.io.Words;

/**
 * Completes the prompts and conversations of any number of threads together. The tokens of a
 * request, bit for bit, do not depend on the other requests.
 *
 * {@snippet file="panamoe/text/TextServiceExample.java" region="service"}
 *
 * <p>All methods may be called by any thread at any time. The model's own thread computes a step of
 * all requests that run ({@link ModelOptions#sequences}); the others wait, those of a higher
 * priority less. It starts with a request and ends two seconds after the last one, so a service
 * that is dropped without {@link #close} leaves no thread of Java behind, but its model's memory
 * and the device's threads.
 */
public final class TextService implements AutoCloseable {
  private final MoeModel model;
  private final ServiceOptions options;
  private final Consumer<Duration> free;
  private final Set<TextCompletion> unfinished = new HashSet<>(); // guarded by this
  private boolean closed; // guarded by this

  /**
   * @param free closes what was opened for the service, and waits for its users so long
   */
  private TextService(MoeModel model, ServiceOptions options, Consumer<Duration> free) {
    this.model = model;
    this.options = options;
    this.free = free;
  }

  /**
   * Opens a model on a device of its own.
   *
   * @throws PanamoeException like {@link Device#open} and {@link MoeModel#open}
   */
  public static TextService open(Path path, ModelOptions model, ServiceOptions options) {
    Failures.run(() -> Argument.notNull("options", options));
    Device device = Device.open(options.device(), options.threads());
    try {
      return new TextService(MoeModel.open(device, path, model), options, device::closeWhenIdle);
    } catch (RuntimeException | Error e) {
      device.close();
      throw e;
    }
  }

  /** Opens a model with the usual options, for 16 requests at a time; see below. */
  public static TextService open(Path path) {
    return open(path, ModelOptions.USUAL.withSequences(16), ServiceOptions.USUAL);
  }

  /**
   * A service of an open model, which stays open when the service is closed. Several services of a
   * model bound and close their own requests; the model generates all of them together.
   *
   * @throws PanamoeException.BadArgument if an argument is null
   */
  public static TextService of(MoeModel model, ServiceOptions options) {
    Failures.run(
        () -> {
          Argument.notNull("model", model);
          Argument.notNull("options", options);
        });
    return new TextService(model, options, _ -> {});
  }

  /** The model: its tokens, context and sampling defaults. */
  public MoeModel model() {
    return model;
  }

  /**
   * Submits a request. Its prompt is written and its schemas are read on this thread; the call
   * waits for nothing.
   *
   * @throws PanamoeException.Busy if too many requests wait ({@link ServiceOptions#waiting})
   * @throws PanamoeException.BadArgument if the request is null, its prompt has more tokens than
   *     the context, the model has no conversations, its template refuses this one, or a schema is
   *     not supported
   * @throws PanamoeException.BadModel if the template cannot be used
   * @throws java.util.concurrent.CancellationException if the thread is interrupted while a schema
   *     is read; its interrupt status stays set
   * @throws IllegalStateException if the service or its model is closed
   */
  public TextCompletion submit(TextRequest request) {
    TextCompletion completion = new TextCompletion(model::requireOutside);
    admit(completion);
    boolean begun = false;
    try {
      model.begin(request, completion, () -> release(completion));
      begun = true;
    } finally {
      if (!begun) {
        release(completion);
      }
    }
    return completion;
  }

  /**
   * Begins a conversation.
   *
   * @param before its first messages, such as the instructions; may be empty
   * @throws PanamoeException.BadArgument if an argument or a message is null
   */
  public ChatSession chat(List<ChatMessage> before, ChatOptions options) {
    TextRequest.Chat checked = new TextRequest.Chat(before, options);
    return new ChatSession(this, checked.messages(), options);
  }

  private synchronized void admit(TextCompletion completion) {
    if (closed) {
      throw new IllegalStateException("the service is closed");
    }
    int most = model.sequences() + options.waiting();
    if (unfinished.size() >= most) {
      throw new PanamoeException.Busy(
          Words.of("%s requests are unfinished, the service takes no more: try again later", most));
    }
    unfinished.add(completion);
  }

  private synchronized void release(TextCompletion completion) {
    unfinished.remove(completion);
    notifyAll();
  }

  /** The number of requests that run or wait. */
  public synchronized int unfinished() {
    return unfinished.size();
  }

  /** Whether it takes no more requests, because it was closed. */
  public synchronized boolean isClosed() {
    return closed;
  }

  /** {@link #closeWhenIdle} with the time of {@link ServiceOptions#drain}. */
  @Override
  public void close() {
    closeWhenIdle(options.drain());
  }

  /**
   * Refuses further requests, waits for the submitted ones to end, and closes the model if the
   * service opened it. Those that run after {@code patience}, or when this thread is interrupted,
   * fail before their next token; the interrupt status stays set. Idempotent.
   *
   * @param patience maximum wait
   * @throws PanamoeException.BadArgument if it is null
   * @throws IllegalStateException if another thread still uses the model directly, which then stays
   *     open, or this thread is inside a call of its device
   */
  public void closeWhenIdle(Duration patience) {
    Failures.run(() -> Argument.notNull("patience", patience));
    model.requireOutside();
    drain(patience)
        .forEach(each -> each.abort("the service was closed before the completion ended"));
    free.accept(patience);
  }

  /** Waits for requests; returns those that have not ended. */
  private synchronized List<TextCompletion> drain(Duration patience) {
    closed = true;
    long end = System.nanoTime() + TimeUnit.NANOSECONDS.convert(patience);
    try {
      for (long left = end - System.nanoTime();
          left > 0 && !unfinished.isEmpty();
          left = end - System.nanoTime()) {
        TimeUnit.NANOSECONDS.timedWait(this, left);
      }
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    return List.copyOf(unfinished);
  }
}

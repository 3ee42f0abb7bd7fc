package panamoe.harness.serve.reading;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.completion.Admission;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionResponse;
import panamoe.harness.serve.completion.Connection;
import panamoe.harness.serve.completion.ServerState;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.log.Metrics;

/**
 * Reads the prompts of a request in steps with all other sequences, a few at a time, so that a long
 * list does not fill the engine's queue. Used by the request's thread.
 *
 * @param <T> what becomes of a prompt's values
 */
final class PromptReadings<T> {
  // How soon a failed engine is found.
  private static final Duration POLL = Duration.ofMillis(200);

  private final EngineThread engine;
  private final Connection connection;
  private final Admission.Slots slots;
  private final Metrics metrics;
  private final Function<float[], T> made;
  private final Queue<GenerationHandle> handles = new ConcurrentLinkedQueue<>();
  private final List<T> results = new ArrayList<>();

  /**
   * @param made makes a result of a prompt's values, on the engine's thread
   */
  PromptReadings(
      EngineThread engine,
      Connection connection,
      Admission.Slots slots,
      Metrics metrics,
      Function<float[], T> made) {
    this.engine = engine;
    this.connection = connection;
    this.slots = slots;
    this.metrics = metrics;
    this.made = made;
  }

  /**
   * The results of all prompts, in order.
   *
   * @param prompts requests with a {@link Readout}
   * @param together how many are in the engine at a time
   * @throws ApiError if a prompt cannot be read
   * @throws InterruptedException if the client has left
   */
  List<T> read(List<GenerationRequest> prompts, int together) throws InterruptedException {
    results.addAll(Collections.nCopies(prompts.size(), null));
    int submitted = 0;
    for (int read = 0; read < prompts.size(); ) {
      while (submitted < Math.min(prompts.size(), read + together)) {
        submit(prompts.get(submitted), submitted++);
      }
      ChoiceEvent event = connection.events().take(POLL);
      switch (event) {
        case ChoiceEvent.Ended(_, Generation generation) -> {
          requireRead(generation.end());
          read++;
        }
        case ChoiceEvent.Failed(_, ApiError error) -> throw error;
        case ChoiceEvent.Piece _ -> throw new IllegalStateException("a reading has no text");
        case null -> {
          if (!engine.alive()) {
            throw CompletionResponse.stopped(ServerState.FAILED);
          }
        }
      }
    }
    return results;
  }

  private void requireRead(Generation.End end) {
    switch (end) {
      case CANCELLED -> throw CompletionResponse.cancelled(engine);
      case DEADLINE -> throw ApiError.late();
      default -> {}
    }
  }

  private void submit(GenerationRequest prompt, int index) {
    try {
      handles.add(engine.submit(prompt, new Events(index)));
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), null);
    } catch (IllegalStateException _) {
      throw CompletionResponse.stopped(ServerState.FAILED);
    }
  }

  void cancel() {
    handles.forEach(GenerationHandle::cancel);
  }

  /** Passes on the events of a prompt. */
  private final class Events implements GenerationListener {
    private final int index;

    Events(int index) {
      this.index = index;
    }

    @Override
    public void read(float[] values) {
      results.set(index, made.apply(values));
    }

    @Override
    public void ended(Generation generation) {
      metrics.ended(generation, true);
      slots.computed(generation.promptTokens());
      connection.events().put(new ChoiceEvent.Ended(index, generation));
    }

    @Override
    public void failed(RuntimeException failure) {
      metrics.failed();
      String reason = "text " + index + " failed: " + CompletionResponse.reason(failure);
      connection.events().put(new ChoiceEvent.Failed(index, ApiError.internal(reason)));
    }
  }
}

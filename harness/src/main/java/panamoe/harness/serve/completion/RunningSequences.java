package panamoe.harness.serve.completion;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import panamoe.engine.Generation;
import panamoe.engine.GenerationHandle;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.sample.TokenLogprobs;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.http.AccessRecord;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.log.ResponseRecorder;

/**
 * The sequences of a request. The first choice of each prompt starts at once; the others follow
 * after its prefill and share its blocks.
 */
final class RunningSequences {
  private final EngineThread engine;
  private final CompletionRequest request;
  private final EventQueue events;
  private final Admission.Slots slots;
  private final Metrics metrics;
  private final AccessRecord record;
  private final RequestLog.Request log;
  private final Queue<GenerationHandle> handles = new ConcurrentLinkedQueue<>();
  private volatile boolean cancelled;

  /**
   * @param record counts tokens
   * @param log logs completions; null for no log
   */
  RunningSequences(
      EngineThread engine,
      CompletionRequest request,
      EventQueue events,
      Admission.Slots slots,
      Metrics metrics,
      AccessRecord record,
      RequestLog.Request log) {
    this.engine = engine;
    this.request = request;
    this.events = events;
    this.slots = slots;
    this.metrics = metrics;
    this.record = record;
    this.log = log;
  }

  /**
   * @throws ApiError 429 if their key has no tokens left
   * @throws IllegalArgumentException if the engine can never run one of them; none runs then
   */
  void start() {
    record.prompts(request.promptTokens());
    try {
      for (int choice = 0; choice < request.choices(); choice += request.n()) {
        submit(choice);
      }
    } catch (RuntimeException e) {
      cancel();
      throw e;
    }
  }

  void cancel() {
    cancelled = true;
    handles.forEach(GenerationHandle::cancel);
  }

  private void submit(int choice) {
    GenerationRequest text = request.choice(choice);
    if (log != null) {
      text = text.withLogprobs(Math.max(0, request.logprobs()));
    }
    handles.add(engine.submit(text, new Events(choice, text)));
    if (cancelled) { // cancelled meanwhile
      cancel();
    }
  }

  /** Passes on the events of a sequence. */
  private final class Events implements GenerationListener {
    private final int choice;
    private final boolean first;
    private final ResponseRecorder recorder;
    private List<ChoiceEvent.Sampled> sampled = new ArrayList<>();
    private boolean begun;
    private long before;

    Events(int choice, GenerationRequest text) {
      this.choice = choice;
      this.first = choice % request.n() == 0;
      this.recorder = log == null ? null : log.recorder(choice, text);
    }

    @Override
    public void sampled(int token, TokenLogprobs logprobs, int[] experts) {
      long now = System.nanoTime();
      if (begun) {
        metrics.tokenAfter(now - before);
      }
      before = now;
      metrics.token();
      record.token();
      begin();
      sampled.add(
          new ChoiceEvent.Sampled(token, request.logprobs() < 0 ? null : logprobs, experts));
      if (recorder != null) {
        recorder.sampled(token, logprobs, experts);
      }
    }

    @Override
    public void prompted(List<TokenLogprobs> logprobs) {
      request.echo().prompted(choice / request.n(), request.prompt(choice), logprobs);
    }

    @Override
    public void ending(int token, TokenLogprobs logprobs) {
      if (request.echo() != null && request.logprobs() >= 0) {
        request.echo().ended(choice, token, logprobs);
      }
    }

    @Override
    public void wrote(String piece) {
      send(piece, "");
    }

    @Override
    public void marked(String name) {
      send("", name);
    }

    private void send(String piece, String marker) {
      events.put(new ChoiceEvent.Piece(choice, piece, marker, sampled));
      sampled = new ArrayList<>();
    }

    @Override
    public void ended(Generation generation) {
      begin();
      if (!sampled.isEmpty()) {
        wrote("");
      }
      metrics.ended(generation, first);
      record.ended(generation.times());
      if (recorder != null) {
        recorder.ended(generation);
      }
      events.put(new ChoiceEvent.Ended(choice, generation));
    }

    @Override
    public void failed(RuntimeException failure) {
      begin();
      metrics.failed();
      if (recorder != null) {
        recorder.failed(failure);
      }
      events.put(
          new ChoiceEvent.Failed(
              choice,
              ApiError.internal("the completion failed: " + CompletionResponse.reason(failure))));
    }

    /** The prompt is computed, or will not be. */
    private void begin() {
      if (begun) {
        return;
      }
      begun = true;
      if (first) {
        slots.computed(request.prompt(choice).length);
        for (int sibling = 1; sibling < request.n() && !cancelled; sibling++) {
          submitSibling(choice + sibling);
        }
      }
    }

    private void submitSibling(int sibling) {
      try {
        submit(sibling);
      } catch (IllegalStateException _) {
        events.put(new ChoiceEvent.Failed(sibling, CompletionResponse.stopped(ServerState.FAILED)));
      }
    }
  }
}

package panamoe.engine.schedule;

import java.util.Arrays;
import java.util.function.Consumer;
import panamoe.engine.Generation;
import panamoe.engine.routes.SequenceRoutes;

/** Calls the listeners of sequences, and ends sequences. Used by the engine's thread. */
final class Listeners {
  private final Scheduler scheduler;
  private RuntimeException failure;
  private volatile Consumer<SequenceRoutes> recorder; // null: none

  Listeners(Scheduler scheduler) {
    this.scheduler = scheduler;
  }

  /** Sets what gets the routes of sequences that end; null for none. */
  void record(Consumer<SequenceRoutes> routes) {
    recorder = routes;
  }

  boolean records() {
    return recorder != null;
  }

  /** The first exception of a listener since the last call; null if there was none. */
  RuntimeException takeFailure() {
    RuntimeException taken = failure;
    failure = null;
    return taken;
  }

  /** Ends a waiting or running sequence, and calls its listener. */
  void end(Sequence sequence, Generation.End end) {
    scheduler.end(sequence);
    if (sequence.rows != null && !sequence.rows.isEmpty()) {
      int[] tokens = Arrays.copyOf(sequence.tokens, sequence.rows.size());
      call(sequence, () -> recorder.accept(new SequenceRoutes(tokens, sequence.rows)));
    }
    call(
        sequence,
        () -> {
          sequence.text.finish();
          sequence.listener.ended(
              new Generation(
                  sequence.text.toString(),
                  end,
                  sequence.text.stopString(),
                  sequence.written,
                  sequence.request.prompt().length,
                  Math.max(0, sequence.shared),
                  new Generation.Times(
                      sequence.submitted, sequence.started, sequence.first, System.nanoTime()),
                  sequence.counts == null ? null : sequence.counts.statistics()));
        });
  }

  /** Ends a sequence that failed, and calls its listener. */
  void fail(Sequence sequence, RuntimeException cause) {
    scheduler.end(sequence);
    call(sequence, () -> sequence.listener.failed(cause));
  }

  /**
   * Calls a listener; if it throws, its sequence ends.
   *
   * @return whether it returned normally
   */
  boolean call(Sequence sequence, Runnable call) {
    try {
      call.run();
      return true;
    } catch (RuntimeException e) {
      if (failure == null) {
        failure = e;
      }
      if (sequence.running()) {
        scheduler.end(sequence);
      }
      return false;
    }
  }
}

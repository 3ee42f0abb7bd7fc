package panamoe.engine.schedule;

import panamoe.engine.Generation;

/** Calls the listeners of sequences, and ends sequences. Used by the engine's thread. */
final class Listeners {
  private final Scheduler scheduler;
  private RuntimeException failure;

  Listeners(Scheduler scheduler) {
    this.scheduler = scheduler;
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
    call(
        sequence,
        () -> {
          sequence.text.finish();
          sequence.listener.ended(
              new Generation(
                  sequence.text.toString(),
                  end,
                  cut(sequence, end),
                  sequence.written,
                  sequence.request.prompt().length,
                  Math.max(0, sequence.shared),
                  new Generation.Times(
                      sequence.submitted, sequence.started, sequence.first, System.nanoTime()),
                  sequence.counts == null ? null : sequence.counts.statistics()));
        });
  }

  private static boolean cut(Sequence sequence, Generation.End end) {
    return switch (end) {
      case END_OF_TEXT -> false;
      case STOP -> sequence.text.stopped();
      case LENGTH, DEADLINE, CANCELLED -> true;
    };
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

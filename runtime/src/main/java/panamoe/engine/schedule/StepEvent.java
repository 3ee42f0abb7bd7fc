package panamoe.engine.schedule;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Percentage;
import jdk.jfr.StackTrace;

/** A flight-recorder event of a step: its kernels, sampling, and listeners. */
@Category({"Panamoe", "Engine"})
@StackTrace(false)
abstract class StepEvent extends Event {
  @Label("Sequences of the step")
  int sequences;

  @Label("Tokens of prompts")
  int prompt;

  @Label("Tokens after prompts, guessed ones included")
  int decode;

  @Label("Sequences that wait")
  int waiting;

  @Label("Used part of the cache")
  @Percentage
  float usage;

  final void begin(StepPlan step, Scheduler scheduler) {
    if (!isEnabled()) {
      return;
    }
    sequences = step.parts().size();
    for (StepPlan.Part part : step.parts()) {
      prompt += part.decodes() ? 0 : part.count();
      decode += part.decodes() ? part.count() : 0;
    }
    waiting = scheduler.waiting();
    usage = (float) scheduler.usage();
    begin();
  }
}

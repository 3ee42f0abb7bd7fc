package panamoe.engine.schedule;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.StackTrace;

/** A flight-recorder event of a sequence, which begins with its submission. */
@Category({"Panamoe", "Engine"})
@StackTrace(false)
abstract class SequenceEvent extends Event {
  @Label("Tokens of the prompt")
  int prompt;

  @Label("Tokens whose keys and values were cached")
  int cached;

  SequenceEvent() {
    begin();
  }

  final void commit(Sequence sequence) {
    prompt = sequence.request.prompt().length;
    cached = sequence.shared;
    commit();
  }
}

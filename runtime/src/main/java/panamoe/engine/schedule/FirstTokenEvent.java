package panamoe.engine.schedule;

import jdk.jfr.Label;
import jdk.jfr.Name;

/** From the submission of a sequence until its first token. */
@Name("panamoe.FirstToken")
@Label("First token")
final class FirstTokenEvent extends SequenceEvent {}

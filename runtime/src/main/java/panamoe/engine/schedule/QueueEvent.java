package panamoe.engine.schedule;

import jdk.jfr.Label;
import jdk.jfr.Name;

/** From the submission of a sequence until it runs. */
@Name("panamoe.Queue")
@Label("Queue")
final class QueueEvent extends SequenceEvent {}

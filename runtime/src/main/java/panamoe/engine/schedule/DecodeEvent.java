package panamoe.engine.schedule;

import jdk.jfr.Label;
import jdk.jfr.Name;

/** A step that computes the next tokens of sequences. */
@Name("panamoe.Decode")
@Label("Decode step")
final class DecodeEvent extends StepEvent {}

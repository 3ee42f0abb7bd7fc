package panamoe.engine.schedule;

import jdk.jfr.Label;
import jdk.jfr.Name;

/** A step that computes prompts or parts of them, perhaps beside the next tokens of sequences. */
@Name("panamoe.Prefill")
@Label("Prefill")
final class PrefillEvent extends StepEvent {}

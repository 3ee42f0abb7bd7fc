package panamoe.plan;

/** What a step's time is spent on: a {@link Term} or a {@link TrainingTerm}. */
public interface StepTerm {
  /** In a word or two, over a column. */
  String heading();

  /** In words, as a part of a sentence. */
  String meaning();
}

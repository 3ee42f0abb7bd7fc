package panamoe.lab.study;

/** What is measured on a finished run beside its own metrics. */
interface Measurements {
  /** The share of tasks of the corpus that the model solves, 0 to 1. */
  double accuracy(StudyRun run);

  /**
   * Bits per byte of the model without a part of its experts.
   *
   * @param percent of the experts of each layer
   * @param by the score that decides which: {@code load} or {@code reap}
   */
  double prunedBits(StudyRun run, int percent, String by);
}

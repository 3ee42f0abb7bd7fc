package panamoe.harness.plan;

/** The kinds of steps to measure. */
enum MeasuredSteps {
  ALL,
  SERVING,
  TRAINING;

  boolean serve() {
    return this != TRAINING;
  }

  boolean train() {
    return this != SERVING;
  }
}

package panamoe.harness.plan;

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

package panamoe.harness.plan;

/** Which steps are measured. */
enum Steps {
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

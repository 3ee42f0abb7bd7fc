package panamoe.harness.bench;

import panamoe.model.ModelConfig;

/** How much of a model a token activates. */
final class ModelWork {
  private ModelWork() {}

  /** Elements of one expert's, or one dense MLP's, matrices. */
  static double expertElements(ModelConfig config) {
    return (1.0 + config.activation().inputsPerOutput()) * config.hidden() * config.feedForward();
  }

  /** Elements of all matrices that one token meets, router included, embedding and output apart. */
  static double activeElements(ModelConfig config) {
    double hidden = config.hidden();
    double attention = 2 * hidden * hidden * (1 + (double) config.keyValueHeads() / config.heads());
    double mlp = expertElements(config);
    double elements = 0;
    for (int experts : config.experts()) {
      elements += attention + (experts == 0 ? mlp : config.gate().topK() * mlp + hidden * experts);
    }
    return elements;
  }

  /**
   * @param logits rows that logits are computed for
   * @param attended positions that a token attends to
   */
  static double forwardFlops(ModelConfig config, long tokens, long logits, double attended) {
    double scores = 4.0 * attended * config.hidden() * config.layers();
    return tokens * (2 * activeElements(config) + scores)
        + 2.0 * logits * config.hidden() * config.vocabulary();
  }
}

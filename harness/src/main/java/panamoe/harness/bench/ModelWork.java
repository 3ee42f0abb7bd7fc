package panamoe.harness.bench;

import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/** Counts the weights and operations of one token. */
final class ModelWork {
  private ModelWork() {}

  /** Elements of one expert's matrices. */
  static double expertElements(int hidden, MoeConfig moe) {
    return mlp(hidden, moe.inner(), moe.activation());
  }

  private static double mlp(double hidden, int inner, Activation activation) {
    return (1.0 + activation.inputsPerOutput()) * hidden * inner;
  }

  /**
   * The number of elements of all matrices that one token activates, with the router, without
   * embedding and output.
   */
  static double activeElements(ModelConfig config) {
    double hidden = config.hidden();
    double elements = 0;
    for (BlockConfig block : config.blocks()) {
      AttentionConfig.Heads heads = block.attention().heads();
      elements += 2 * hidden * heads.size() * (heads.query() + heads.keyValue());
      elements +=
          switch (block.feedForward()) {
            case DenseConfig dense -> mlp(hidden, dense.inner(), dense.activation());
            case MoeConfig moe ->
                moe.gate().topK() * expertElements(config.hidden(), moe) + hidden * moe.experts();
          };
    }
    return elements;
  }

  /**
   * @param logits number of rows that logits are computed for
   * @param attended number of positions that a token attends to
   */
  static double forwardFlops(ModelConfig config, long tokens, long logits, double attended) {
    double scores = 4.0 * attended * config.hidden() * config.layers();
    return tokens * (2 * activeElements(config) + scores)
        + 2.0 * logits * config.hidden() * config.vocabulary();
  }
}

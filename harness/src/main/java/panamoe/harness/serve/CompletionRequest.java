package panamoe.harness.serve;

import java.util.List;
import java.util.function.Supplier;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;

/**
 * What a request asks to be written: {@code n} texts for each of the prompts.
 *
 * @param prompts tokens of each
 * @param stop for each prompt, because the room that is left depends on it
 * @param logprobs most probable tokens that are told beside each; -1 for none
 * @param constraint null if the texts are free
 * @param routing to how many experts rows go, and what is told of that
 * @param answer how it is answered
 */
record CompletionRequest(
    List<int[]> prompts,
    int n,
    SamplingConfig sampling,
    List<StopConfig> stop,
    int logprobs,
    Supplier<TokenConstraint> constraint,
    GenerationRequest.Terms terms,
    Routing routing,
    Delivery answer) {
  /**
   * How a request is answered.
   *
   * @param stream piece by piece
   * @param usage whether a stream ends with how many tokens there were
   * @param tokenIds whether tokens are told beside their text
   */
  record Delivery(boolean stream, boolean usage, boolean tokenIds) {}

  /** How many texts. */
  int texts() {
    return n * prompts.size();
  }

  long promptTokens() {
    return prompts.stream().mapToLong(prompt -> prompt.length).sum();
  }

  /** What the engine is asked for text number {@code choice}, whose seed is its own. */
  GenerationRequest text(int choice) {
    int prompt = choice / n;
    return new GenerationRequest(
        prompts.get(prompt),
        sampling.withSeed(sampling.seed() + choice % n),
        stop.get(prompt),
        logprobs,
        constraint,
        terms,
        routing);
  }
}

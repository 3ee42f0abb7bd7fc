package panamoe.harness.serve;

import java.util.List;
import panamoe.engine.GenerationRequest;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;

/**
 * A request for {@code n} completions of each prompt, its choices.
 *
 * @param prompts the first choice of each; they differ in their tokens and their room for others
 */
record CompletionRequest(List<GenerationRequest> prompts, int n, Delivery delivery) {
  /**
   * How a request is answered.
   *
   * @param stream as server-sent events
   * @param usage whether a stream ends with the numbers of tokens
   * @param tokenIds whether token ids are sent next to their text
   */
  record Delivery(boolean stream, boolean usage, boolean tokenIds) {}

  int choices() {
    return n * prompts.size();
  }

  /** The tokens of a choice's prompt. */
  int[] prompt(int choice) {
    return prompts.get(choice / n).prompt();
  }

  int logprobs() {
    return prompts.getFirst().logprobs();
  }

  Routing routing() {
    return prompts.getFirst().routing();
  }

  long promptTokens() {
    return prompts.stream().mapToLong(prompt -> prompt.prompt().length).sum();
  }

  /** What the engine gets for a choice: each choice of a prompt has the next seed. */
  GenerationRequest choice(int choice) {
    GenerationRequest prompt = prompts.get(choice / n);
    SamplingConfig sampling = prompt.sampling();
    return prompt.with(sampling.withSeed(sampling.seed() + choice % n));
  }
}

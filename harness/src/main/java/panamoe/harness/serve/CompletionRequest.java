package panamoe.harness.serve;

import java.util.List;
import panamoe.engine.GenerationRequest;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;

/**
 * A request for {@code n} completions of each prompt, its choices.
 *
 * @param prompts the request of each prompt's first choice; all share sampling and routing
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

  /** The engine's request for a choice: the choices of a prompt have consecutive seeds. */
  GenerationRequest choice(int choice) {
    GenerationRequest prompt = prompts.get(choice / n);
    SamplingConfig sampling = prompt.sampling();
    return prompt.with(sampling.withSeed(sampling.seed() + choice % n));
  }
}

package panamoe.harness.serve.completion;

import java.util.List;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;

/**
 * A request for {@code n} completions of each prompt, its choices.
 *
 * @param prompts the request of each prompt's first choice; all share sampling and routing
 * @param echo the prompts, as choices repeat them; null if they do not
 */
public record CompletionRequest(
    List<GenerationRequest> prompts, int n, Delivery delivery, Echo echo) {
  /**
   * How a request is answered.
   *
   * @param stream as server-sent events
   * @param usage whether a stream ends with the numbers of tokens
   * @param tokenIds whether token ids are sent next to their text
   */
  public record Delivery(boolean stream, boolean usage, boolean tokenIds) {}

  /** Without echo. */
  CompletionRequest(List<GenerationRequest> prompts, int n, Delivery delivery) {
    this(prompts, n, delivery, null);
  }

  /** The same request with choices that repeat their prompt, with its log probabilities. */
  public CompletionRequest echoing() {
    List<GenerationRequest> read =
        logprobs() < 0
            ? prompts
            : prompts.stream().map(prompt -> prompt.with(Readout.LOGPROBS)).toList();
    return new CompletionRequest(read, n, delivery, new Echo(read));
  }

  public int choices() {
    return n * prompts.size();
  }

  /** The tokens of a choice's prompt. */
  public int[] prompt(int choice) {
    return prompts.get(choice / n).prompt();
  }

  public int logprobs() {
    return prompts.getFirst().logprobs();
  }

  public Routing routing() {
    return prompts.getFirst().routing();
  }

  public long promptTokens() {
    return prompts.stream().mapToLong(prompt -> prompt.prompt().length).sum();
  }

  /**
   * The engine's request for a choice: the choices of a prompt have consecutive seeds, and the
   * first reads the prompt for all.
   */
  GenerationRequest choice(int choice) {
    GenerationRequest prompt = prompts.get(choice / n);
    SamplingConfig sampling = prompt.sampling();
    return prompt
        .with(choice % n == 0 ? prompt.readout() : null)
        .with(sampling.withSeed(sampling.seed() + choice % n));
  }
}

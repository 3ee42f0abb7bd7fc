package panamoe.harness.serve.completion;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import panamoe.engine.GenerationRequest;
import panamoe.engine.sample.TokenLogprobs;

/**
 * What the choices of a request repeat: their prompts, with log probabilities if these are asked
 * for, and then also the token that ends a choice. The engine's thread adds to it before it puts a
 * choice's events, and the connection's thread reads it after them.
 */
public final class Echo {
  /** Of a prompt's first token, which has no log probability. */
  public static final TokenLogprobs UNKNOWN =
      new TokenLogprobs(Double.NaN, new int[0], new double[0]);

  private final List<List<ChoiceEvent.Sampled>> prompts = new ArrayList<>();
  private final Map<Integer, ChoiceEvent.Sampled> ends = new ConcurrentHashMap<>();

  Echo(List<GenerationRequest> requests) {
    for (GenerationRequest request : requests) {
      List<ChoiceEvent.Sampled> tokens = new ArrayList<>();
      tokens.add(new ChoiceEvent.Sampled(request.prompt()[0], UNKNOWN, null));
      prompts.add(tokens);
    }
  }

  /** Adds the log probabilities of the next tokens of a prompt. */
  void prompted(int prompt, int[] tokens, List<TokenLogprobs> logprobs) {
    List<ChoiceEvent.Sampled> known = prompts.get(prompt);
    logprobs.forEach(each -> known.add(new ChoiceEvent.Sampled(tokens[known.size()], each, null)));
  }

  void ended(int choice, int token, TokenLogprobs logprobs) {
    ends.put(choice, new ChoiceEvent.Sampled(token, logprobs, null));
  }

  public List<ChoiceEvent.Sampled> prompt(int prompt) {
    return prompts.get(prompt);
  }

  /** The token that ended a choice; none if a limit did. */
  public List<ChoiceEvent.Sampled> end(int choice) {
    return ends.containsKey(choice) ? List.of(ends.get(choice)) : List.of();
  }
}

package panamoe.text;

import java.util.List;
import java.util.stream.IntStream;
import panamoe.engine.sample.TokenLogprobs;

/**
 * The log-probability of a token by the model itself, before {@link Sampling} changes it.
 *
 * @param token id
 * @param value in nats; negative infinity for a token that cannot come here
 * @param best the most probable tokens here, best first, without their own {@code best}
 */
public record Logprob(int token, double value, List<Logprob> best) {
  /** Copies the list. */
  public Logprob {
    best = List.copyOf(best);
  }

  static Logprob of(int token, TokenLogprobs logprobs) {
    return new Logprob(
        token,
        logprobs.logprob(),
        IntStream.range(0, logprobs.tokens().length)
            .mapToObj(i -> new Logprob(logprobs.tokens()[i], logprobs.logprobs()[i], List.of()))
            .toList());
  }
}

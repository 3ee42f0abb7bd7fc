package panamoe.engine;

import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import panamoe.data.Tokenizer;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.sample.TokenConstraint;
import panamoe.io.Require;

/**
 * A request to an engine.
 *
 * @param prompt tokens, at least one; the caller does not change them
 * @param sampling how tokens are sampled
 * @param stop where the completion ends
 * @param logprobs how many of the most probable tokens are reported with each token; -1 for none,
 *     and without the token's own log probability
 * @param constraint makes the constraint on the completion's tokens; null for none
 * @param terms how the scheduler treats it
 * @param routing experts per row, and which routes are reported
 */
public record GenerationRequest(
    int[] prompt,
    SamplingConfig sampling,
    StopConfig stop,
    int logprobs,
    Supplier<TokenConstraint> constraint,
    Terms terms,
    Routing routing) {
  /**
   * How the scheduler treats a sequence.
   *
   * @param priority higher ones start first and are preempted last
   * @param user for fair sharing: users take turns
   * @param salt sequences share blocks only with the same salt. Others cannot find out from timing
   *     that a prompt is in the cache
   * @param deadline {@link System#nanoTime} at which the sequence ends; {@link #NEVER} for none
   */
  public record Terms(int priority, String user, String salt, long deadline) {
    /** No deadline. */
    public static final long NEVER = Long.MAX_VALUE;

    /** No priority, user, salt and deadline. */
    public static final Terms USUAL = new Terms(0, "", "", NEVER);
  }

  /** The largest {@code logprobs}. */
  public static final int MOST_LOGPROBS = 20;

  public GenerationRequest {
    Require.that(prompt.length != 0, "the prompt has no tokens");
    if (logprobs < -1 || logprobs > MOST_LOGPROBS) {
      throw new IllegalArgumentException(
          "logprobs is " + logprobs + ", expected -1 (none) to " + MOST_LOGPROBS);
    }
  }

  /** With the model's own routing. */
  public GenerationRequest(
      int[] prompt,
      SamplingConfig sampling,
      StopConfig stop,
      int logprobs,
      Supplier<TokenConstraint> constraint,
      Terms terms) {
    this(prompt, sampling, stop, logprobs, constraint, terms, Routing.USUAL);
  }

  /** Without constraint and logprobs, on the usual terms. */
  public static GenerationRequest of(int[] prompt, SamplingConfig sampling, StopConfig stop) {
    return new GenerationRequest(prompt, sampling, stop, -1, null, Terms.USUAL);
  }

  public GenerationRequest with(Terms changed) {
    return new GenerationRequest(prompt, sampling, stop, logprobs, constraint, changed, routing);
  }

  public GenerationRequest withLogprobs(int changed) {
    return new GenerationRequest(prompt, sampling, stop, changed, constraint, terms, routing);
  }

  public GenerationRequest with(SamplingConfig changed) {
    return new GenerationRequest(prompt, changed, stop, logprobs, constraint, terms, routing);
  }

  public GenerationRequest with(Routing changed) {
    return new GenerationRequest(prompt, sampling, stop, logprobs, constraint, terms, changed);
  }

  /**
   * The tokens of a prompt after the tokenizer's prefix. Without a prefix, an empty prompt becomes
   * the end-of-text token, after which a model begins a new document.
   */
  public static int[] tokensOf(String prompt, Tokenizer tokenizer) {
    int[] prefix = tokenizer.prefix();
    return prompt.isEmpty() && prefix.length == 0
        ? new int[] {tokenizer.endOfText()}
        : IntStream.concat(Arrays.stream(prefix), Arrays.stream(tokenizer.encode(prompt)))
            .toArray();
  }

  /**
   * The tokens of a prompt that must fit the context.
   *
   * @param context of the model in tokens
   * @throws IllegalArgumentException if the prompt has more tokens
   */
  public static int[] tokensOf(String prompt, Tokenizer tokenizer, int context) {
    int[] tokens = tokensOf(prompt, tokenizer);
    Require.that(
        tokens.length <= context,
        "the prompt has %s tokens, more than the model's context of %s",
        tokens.length,
        context);
    return tokens;
  }
}

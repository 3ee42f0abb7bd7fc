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
 * What an engine is asked to write.
 *
 * @param prompt tokens, at least one, not to be changed
 * @param sampling how tokens are drawn
 * @param stop where the text ends
 * @param logprobs how many of the most probable tokens are told beside each token; -1: not even its
 *     own probability
 * @param constraint makes what the text must keep to; null: it is free
 * @param terms how it is treated beside others
 * @param routing to how many experts its rows go, and what is told of that
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
   * How a text is treated beside others.
   *
   * @param priority higher ones start first, and are interrupted last
   * @param user whose it is: users take turns
   * @param salt only texts of the same salt share blocks, and so can tell by time that another
   *     began alike
   * @param deadline {@link System#nanoTime} when the text ends, wherever it is; {@link #NEVER}
   */
  public record Terms(int priority, String user, String salt, long deadline) {
    /** No deadline. */
    public static final long NEVER = Long.MAX_VALUE;

    /** For nobody in particular, without a deadline. */
    public static final Terms USUAL = new Terms(0, "", "", NEVER);
  }

  /** Most tokens that can be told beside each token. */
  public static final int MOST_LOGPROBS = 20;

  public GenerationRequest {
    Require.that(prompt.length != 0, "the prompt has no tokens");
    if (logprobs < -1 || logprobs > MOST_LOGPROBS) {
      throw new IllegalArgumentException(
          "logprobs is " + logprobs + ", expected -1 (none) to " + MOST_LOGPROBS);
    }
  }

  /** A text of the usual routing. */
  public GenerationRequest(
      int[] prompt,
      SamplingConfig sampling,
      StopConfig stop,
      int logprobs,
      Supplier<TokenConstraint> constraint,
      Terms terms) {
    this(prompt, sampling, stop, logprobs, constraint, terms, Routing.USUAL);
  }

  /** A free text without logprobs, on the usual terms. */
  public static GenerationRequest of(int[] prompt, SamplingConfig sampling, StopConfig stop) {
    return new GenerationRequest(prompt, sampling, stop, -1, null, Terms.USUAL);
  }

  public GenerationRequest with(Terms changed) {
    return new GenerationRequest(prompt, sampling, stop, logprobs, constraint, changed, routing);
  }

  public GenerationRequest withLogprobs(int changed) {
    return new GenerationRequest(prompt, sampling, stop, changed, constraint, terms, routing);
  }

  public GenerationRequest with(Routing changed) {
    return new GenerationRequest(prompt, sampling, stop, logprobs, constraint, terms, changed);
  }

  /**
   * The tokens of a prompt, behind those before every text. Where there are none, an empty prompt
   * becomes the end-of-text token, which begins a new text.
   */
  public static int[] tokensOf(String prompt, Tokenizer tokenizer) {
    int[] prefix = tokenizer.prefix();
    return prompt.isEmpty() && prefix.length == 0
        ? new int[] {tokenizer.endOfText()}
        : IntStream.concat(Arrays.stream(prefix), Arrays.stream(tokenizer.encode(prompt)))
            .toArray();
  }

  /**
   * The tokens of a prompt, which must fit a context.
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

package panamoe.engine;

import java.util.Arrays;
import java.util.List;
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
 * @param terms how the engine treats it
 * @param routing experts per row, and which routes are reported
 * @param readout what is read of the prompt, instead of a completion or before it; null for a
 *     completion alone
 */
public record GenerationRequest(
    int[] prompt,
    SamplingConfig sampling,
    StopConfig stop,
    int logprobs,
    Supplier<TokenConstraint> constraint,
    Terms terms,
    Routing routing,
    Readout readout) {
  /**
   * How the engine treats a sequence.
   *
   * @param priority higher ones start first and are preempted last
   * @param user for fair sharing: users take turns
   * @param salt sequences share blocks only with the same salt. Others cannot find out from timing
   *     that a prompt is in the cache
   * @param deadline {@link System#nanoTime} at which the sequence ends; {@link #NEVER} for none
   * @param adapter the name of one of the model's adapters; empty for none
   */
  public record Terms(int priority, String user, String salt, long deadline, String adapter) {
    /** No deadline. */
    public static final long NEVER = Long.MAX_VALUE;

    /** No priority, user, salt and deadline. */
    public static final Terms USUAL = new Terms(0, "", "", NEVER);

    /** Without an adapter. */
    public Terms(int priority, String user, String salt, long deadline) {
      this(priority, user, salt, deadline, "");
    }

    /** These terms with an adapter. */
    public Terms with(String adapterName) {
      return new Terms(priority, user, salt, deadline, adapterName);
    }
  }

  /** The largest {@code logprobs}. */
  public static final int MOST_LOGPROBS = 20;

  public GenerationRequest {
    Require.that(prompt.length != 0, "the prompt has no tokens");
    if (logprobs < -1 || logprobs > MOST_LOGPROBS) {
      throw new IllegalArgumentException(
          "logprobs is " + logprobs + ", expected -1 (none) to " + MOST_LOGPROBS);
    }
    Require.that(
        readout != Readout.LOGPROBS || logprobs >= 0,
        "a prompt's log probabilities are asked for, and logprobs is -1, none");
  }

  /** For a completion. */
  public GenerationRequest(
      int[] prompt,
      SamplingConfig sampling,
      StopConfig stop,
      int logprobs,
      Supplier<TokenConstraint> constraint,
      Terms terms,
      Routing routing) {
    this(prompt, sampling, stop, logprobs, constraint, terms, routing, null);
  }

  /** For a completion with the model's own routing. */
  public GenerationRequest(
      int[] prompt,
      SamplingConfig sampling,
      StopConfig stop,
      int logprobs,
      Supplier<TokenConstraint> constraint,
      Terms terms) {
    this(prompt, sampling, stop, logprobs, constraint, terms, Routing.USUAL);
  }

  /**
   * Reads the rows of a prompt; its listener gets {@link GenerationListener#read}, or {@link
   * GenerationListener#prompted} for log probabilities.
   */
  public static GenerationRequest reading(int[] prompt, Readout readout, Terms terms) {
    StopConfig none = StopConfig.of(0, List.of());
    int logprobs = readout == Readout.LOGPROBS ? 0 : -1;
    return new GenerationRequest(
        prompt, SamplingConfig.GREEDY, none, logprobs, null, terms, Routing.USUAL, readout);
  }

  /** Without constraint and logprobs, on the usual terms. */
  public static GenerationRequest of(int[] prompt, SamplingConfig sampling, StopConfig stop) {
    return new GenerationRequest(prompt, sampling, stop, -1, null, Terms.USUAL);
  }

  public GenerationRequest with(Terms changed) {
    return new GenerationRequest(
        prompt, sampling, stop, logprobs, constraint, changed, routing, readout);
  }

  public GenerationRequest withLogprobs(int changed) {
    return new GenerationRequest(
        prompt, sampling, stop, changed, constraint, terms, routing, readout);
  }

  public GenerationRequest with(SamplingConfig changed) {
    return new GenerationRequest(
        prompt, changed, stop, logprobs, constraint, terms, routing, readout);
  }

  public GenerationRequest with(Routing changed) {
    return new GenerationRequest(
        prompt, sampling, stop, logprobs, constraint, terms, changed, readout);
  }

  public GenerationRequest with(Readout changed) {
    return new GenerationRequest(
        prompt, sampling, stop, logprobs, constraint, terms, routing, changed);
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

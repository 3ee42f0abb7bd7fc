package panamoe.text;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.engine.GenerationRequest;

/**
 * A request to a {@link TextService}. Immutable.
 *
 * @param input what is completed
 * @param logprobs how many of the most probable tokens are reported with each token, to 20; 0 for
 *     the token's own log-probability, {@link #NO_LOGPROBS} for none
 * @param priority requests of a higher one start first, and wait last if the cache is full
 * @param user users of one priority take turns, and share no cached prefixes: a user cannot find
 *     out from the time that another has sent a prompt; may be empty
 * @param deadline after its submission it ends with {@link FinishReason#DEADLINE}; null for never
 * @param adapter the name of one of {@link ModelOptions#adapters}; empty for the model alone
 */
public record TextRequest(
    Input input, int logprobs, int priority, String user, Duration deadline, String adapter) {
  /** The value of {@code logprobs} for none. */
  public static final int NO_LOGPROBS = -1;

  /** What a request completes. */
  public sealed interface Input {}

  /**
   * A prompt.
   *
   * @param text its text; the tokenizer's prefix comes before it
   * @param options of the completion
   */
  public record Prompt(String text, GenerationOptions options) implements Input {
    /**
     * Checks the values.
     *
     * @throws panamoe.api.PanamoeException.BadArgument if one is null
     */
    public Prompt {
      Failures.run(
          () -> {
            Argument.notNull("prompt", text);
            Argument.notNull("options", options);
          });
    }
  }

  /**
   * A prompt's tokens.
   *
   * @param tokens 1 or more ids
   * @param options of the completion
   */
  public record PromptTokens(List<Integer> tokens, GenerationOptions options) implements Input {
    /**
     * Copies the list, and checks the values.
     *
     * @throws panamoe.api.PanamoeException.BadArgument if one is null
     */
    public PromptTokens {
      List<Integer> given = tokens;
      tokens =
          Failures.translating(
              () -> {
                Argument.notNull("prompt", given).forEach(id -> Argument.notNull("a token", id));
                Argument.notNull("options", options);
                return List.copyOf(given);
              });
    }
  }

  /**
   * A conversation, up to the assistant's next message.
   *
   * @param messages the last one is the user's, or a tool's
   * @param options of the reply
   */
  public record Chat(List<ChatMessage> messages, ChatOptions options) implements Input {
    /**
     * Copies the list, and checks the values.
     *
     * @throws panamoe.api.PanamoeException.BadArgument if one is null
     */
    public Chat {
      List<ChatMessage> given = messages;
      messages =
          Failures.translating(
              () -> {
                Argument.notNull("messages", given)
                    .forEach(message -> Argument.notNull("a message", message));
                Argument.notNull("options", options);
                return List.copyOf(given);
              });
    }
  }

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the input, the user or the adapter is null,
   *     the log-probabilities are out of range, or the deadline is negative
   */
  public TextRequest {
    Failures.run(
        () -> {
          Argument.notNull("input", input);
          Argument.notNull("user", user);
          Argument.notNull("adapter", adapter);
          Argument.require(
              logprobs >= NO_LOGPROBS && logprobs <= GenerationRequest.MOST_LOGPROBS,
              "logprobs",
              logprobs,
              "-1 (none) to " + GenerationRequest.MOST_LOGPROBS);
          Argument.require(
              deadline == null || !deadline.isNegative(), "deadline", deadline, "0 or more");
        });
  }

  private TextRequest(Input input) {
    this(input, NO_LOGPROBS, 0, "", null, "");
  }

  /** For a prompt. */
  public static TextRequest of(String prompt, GenerationOptions options) {
    return new TextRequest(new Prompt(prompt, options));
  }

  /** For a prompt's tokens. */
  public static TextRequest of(int[] prompt, GenerationOptions options) {
    List<Integer> ids = prompt == null ? null : Arrays.stream(prompt).boxed().toList();
    return new TextRequest(new PromptTokens(ids, options));
  }

  /** For the assistant's next message in a conversation. */
  public static TextRequest of(List<ChatMessage> messages, ChatOptions options) {
    return new TextRequest(new Chat(messages, options));
  }

  /** This request with log-probabilities: each token's, and the {@code best} ones beside it. */
  public TextRequest withLogprobs(int best) {
    return new TextRequest(input, best, priority, user, deadline, adapter);
  }

  /** This request with another priority. */
  public TextRequest withPriority(int value) {
    return new TextRequest(input, logprobs, value, user, deadline, adapter);
  }

  /** This request of another user. */
  public TextRequest withUser(String name) {
    return new TextRequest(input, logprobs, priority, name, deadline, adapter);
  }

  /** This request with a deadline after its submission; null for none. */
  public TextRequest withDeadline(Duration value) {
    return new TextRequest(input, logprobs, priority, user, value, adapter);
  }

  /** This request with one of the model's adapters; empty for none. */
  public TextRequest withAdapter(String name) {
    return new TextRequest(input, logprobs, priority, user, deadline, name);
  }

  GenerationRequest.Terms terms() {
    long end =
        deadline == null
            ? GenerationRequest.Terms.NEVER
            : System.nanoTime() + TimeUnit.NANOSECONDS.convert(deadline);
    return new GenerationRequest.Terms(priority, user, user, end, adapter);
  }
}

package panamoe.text;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.engine.ConversationForm;
import panamoe.engine.StopConfig;

/**
 * What a text is to be.
 *
 * @param maxTokens most tokens to write, 0 or more
 * @param stop texts that end it; they are no part of it
 * @param sampling how tokens are drawn
 * @param schema a JSON schema that it keeps to (docs/structured-output.md), or null
 */
public record GenerationOptions(
    int maxTokens, List<String> stop, Sampling sampling, String schema) {
  /**
   * Copies the list.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the list, a text or the sampling is null
   */
  public GenerationOptions {
    List<String> given = stop;
    Sampling drawn = sampling;
    stop =
        Failures.translating(
            () -> {
              Argument.notNull("sampling", drawn);
              Argument.notNull("stop", given).forEach(text -> Argument.notNull("a stop", text));
              return List.copyOf(given);
            });
  }

  /** Up to {@code maxTokens} tokens, always the most probable one. */
  public static GenerationOptions of(int maxTokens) {
    return new GenerationOptions(maxTokens, List.of(), Sampling.GREEDY, null);
  }

  /** These options with tokens drawn in another way. */
  public GenerationOptions withSampling(Sampling value) {
    return new GenerationOptions(maxTokens, stop, value, schema);
  }

  /** These options with texts that end the text. */
  public GenerationOptions withStop(String... texts) {
    return new GenerationOptions(
        maxTokens, texts == null ? null : Arrays.asList(texts), sampling, schema);
  }

  /** These options with a JSON schema that the text keeps to. */
  public GenerationOptions withSchema(String json) {
    return new GenerationOptions(maxTokens, stop, sampling, json);
  }

  /**
   * @param more where the text ends as well
   * @throws IllegalArgumentException if a value is out of range
   */
  StopConfig toStop(ConversationForm.Ends more) {
    List<String> texts = Stream.concat(stop.stream(), more.texts().stream()).toList();
    return new StopConfig(maxTokens, 0, texts, more.tokens(), false, true);
  }
}

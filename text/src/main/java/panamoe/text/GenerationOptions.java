package panamoe.text;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.conversation.ChatFormat;
import panamoe.engine.StopConfig;
import panamoe.grammar.JsonGrammar;
import panamoe.io.ConfigJson;
import tools.jackson.databind.JsonNode;

/**
 * What a text is to be.
 *
 * @param maxTokens most tokens to write, 0 or more
 * @param stop texts that end it; they are no part of it
 * @param sampling how tokens are drawn
 * @param schema a JSON schema that it keeps to (docs/structured-output.md), or null
 * @param slide whether it goes on beyond the model's context, of which it then remembers the later
 *     half; otherwise it ends there, which is {@link FinishReason#CONTEXT}
 */
public record GenerationOptions(
    int maxTokens, List<String> stop, Sampling sampling, String schema, boolean slide) {
  /**
   * Copies the list, and checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the list, a text or the sampling is null, a
   *     stop is empty, there are less than 0 tokens, or the schema cannot be kept to
   * @throws java.util.concurrent.CancellationException if there is a schema, and the thread is
   *     interrupted
   */
  public GenerationOptions {
    List<String> given = stop;
    stop =
        Failures.translating(
            () -> {
              Argument.notNull("sampling", sampling);
              Argument.notNull("stop", given).forEach(text -> Argument.notNull("a stop", text));
              grammar(schema);
              return StopConfig.of(maxTokens, given).texts();
            });
  }

  /**
   * Up to {@code maxTokens} tokens, always the most probable one, and not beyond the model's
   * context.
   */
  public static GenerationOptions of(int maxTokens) {
    return new GenerationOptions(maxTokens, List.of(), Sampling.GREEDY, null, false);
  }

  /** These options with tokens drawn in another way. */
  public GenerationOptions withSampling(Sampling value) {
    return new GenerationOptions(maxTokens, stop, value, schema, slide);
  }

  /** These options with texts that end the text. */
  public GenerationOptions withStop(String... texts) {
    return new GenerationOptions(
        maxTokens, texts == null ? null : Arrays.asList(texts), sampling, schema, slide);
  }

  /** These options with a JSON schema that the text keeps to. */
  public GenerationOptions withSchema(String json) {
    return new GenerationOptions(maxTokens, stop, sampling, json, slide);
  }

  /** These options with a text that goes on, or does not, beyond the model's context. */
  public GenerationOptions withSlide(boolean value) {
    return new GenerationOptions(maxTokens, stop, sampling, schema, value);
  }

  /** The grammar of the schema, if there is one. */
  Optional<JsonGrammar> grammar() {
    return grammar(schema);
  }

  private static Optional<JsonGrammar> grammar(String schema) {
    return Optional.ofNullable(schema)
        .map(json -> JsonGrammar.of(ConfigJson.parse(json, JsonNode.class, "the schema")));
  }

  /**
   * @param more where the text ends as well
   */
  StopConfig toStop(ChatFormat.Ends more) {
    List<String> texts = Stream.concat(stop.stream(), more.texts().stream()).toList();
    return new StopConfig(maxTokens, 0, texts, more.tokens(), false, slide);
  }
}

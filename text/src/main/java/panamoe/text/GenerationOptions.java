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
 * Options of a completion.
 *
 * @param maxTokens most tokens to generate, 0 or more
 * @param stop stop strings; they are not part of the completion
 * @param sampling how tokens are sampled
 * @param schema a JSON schema that the completion keeps to (docs/structured-output.md), or null
 * @param slide whether a completion at the end of the model's context goes on with the later half
 *     of it; otherwise it ends there, with {@link FinishReason#CONTEXT}
 */
public record GenerationOptions(
    int maxTokens, List<String> stop, Sampling sampling, String schema, boolean slide) {
  /**
   * Copies the list, and checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the list, a stop string or the sampling is
   *     null, a stop string is empty, the number of tokens is negative, or the schema is not
   *     supported
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

  /** Up to {@code maxTokens} tokens by greedy sampling, within the model's context. */
  public static GenerationOptions of(int maxTokens) {
    return new GenerationOptions(maxTokens, List.of(), Sampling.GREEDY, null, false);
  }

  /** These options with other sampling. */
  public GenerationOptions withSampling(Sampling value) {
    return new GenerationOptions(maxTokens, stop, value, schema, slide);
  }

  /** These options with stop strings. */
  public GenerationOptions withStop(String... texts) {
    return new GenerationOptions(
        maxTokens, texts == null ? null : Arrays.asList(texts), sampling, schema, slide);
  }

  /** These options with a JSON schema. */
  public GenerationOptions withSchema(String json) {
    return new GenerationOptions(maxTokens, stop, sampling, json, slide);
  }

  /** These options with or without sliding at the end of the context. */
  public GenerationOptions withSlide(boolean value) {
    return new GenerationOptions(maxTokens, stop, sampling, schema, value);
  }

  /** The grammar of the schema; empty without one. */
  Optional<JsonGrammar> grammar() {
    return grammar(schema);
  }

  private static Optional<JsonGrammar> grammar(String schema) {
    return Optional.ofNullable(schema)
        .map(json -> JsonGrammar.of(ConfigJson.parse(json, JsonNode.class, "the schema")));
  }

  /**
   * @param more further ends
   */
  StopConfig toStop(ChatFormat.Ends more) {
    List<String> texts = Stream.concat(stop.stream(), more.texts().stream()).toList();
    return new StopConfig(maxTokens, 0, texts, more.tokens(), false, slide);
  }
}
